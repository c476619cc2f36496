import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { confineRun } from './confined-run.ts';
import { parseRunConfig } from './run-config.ts';

let base: string;
let root: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'ballast-confined-run-')));
  root = join(base, 'data');
  mkdirSync(join(root, 'photos', 'cat'), { recursive: true });
  writeFileSync(join(root, 'prior.safetensors'), 'x');
  writeFileSync(join(base, 'secret'), 'x');
});
afterEach(() => rmSync(base, { recursive: true }));

const confine = (written: object) => confineRun(parseRunConfig(written), [root], '/runs/a');

it('makes every path real, and chooses where the run goes', async () => {
  const csv = { images: 'photos' };
  const data = { source: 'photos', test: join(root, 'photos'), roots: ['.'], csv };
  const config = await confine({ data, prior: 'prior.safetensors', judge: 'prior.safetensors', out: '/etc' });
  const photos = join(root, 'photos');
  expect(config.data).toMatchObject({ source: photos, test: photos, roots: [root], csv: { images: photos } });
  expect(config).toMatchObject({
    prior: join(root, 'prior.safetensors'),
    judge: join(root, 'prior.safetensors'),
    out: '/runs/a',
  });
});

it('leaves the named data set as it is', async () => {
  expect((await confine({ method: 'erm' })).data.source).toBe('fashion-mnist');
});

it.each([
  ['data.source', { data: { source: '../secret' } }],
  ['data.test', { data: { source: 'photos', test: '/etc/passwd' } }],
  ['data.csv.images', { data: { source: 'photos', csv: { images: '/' } } }],
  ['data.roots', { data: { source: 'photos', roots: ['/usr/share'] } }],
  ['prior', { prior: '../secret' }],
  ['judge', { judge: '/etc/shadow' }],
])('refuses a way out by %s', async (field, written) => {
  await expect(confine({ method: 'erm', ...written })).rejects.toThrow(
    new RegExp(
      `^${field.replaceAll('.', '\\.')} '.*': it is in none of the folders that this server may read`,
    ),
  );
});

it('refuses a link out of the data, and an address to send events to', async () => {
  symlinkSync('/etc', join(root, 'photos', 'dog'));
  await expect(confine({ method: 'erm', data: { source: 'photos' } })).rejects.toThrow(
    'data.source: dog is a link',
  );
  await expect(confine({ method: 'erm', eventsUrl: 'nats://elsewhere:4222' })).rejects.toThrow(
    'eventsUrl is',
  );
});
