import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confinePath, confineTree, isWithin, pathWithin } from './confined-path.ts';

let base: string;
let data: string;
let more: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'ballast-confined-')));
  data = join(base, 'data');
  more = join(base, 'more');
  put('data/photos/cat/1.png');
  put('more/x.npz');
  put('secret/key');
  put('database/key'); // begins as a root does
});
afterEach(() => rmSync(base, { recursive: true }));

function put(path: string): void {
  mkdirSync(dirname(join(base, path)), { recursive: true });
  writeFileSync(join(base, path), 'x');
}

function link(path: string, to: string): void {
  symlinkSync(to, join(base, path));
}

const confine = (path: string) => confinePath(path, [data, more], 'data.source');

describe('confinePath', () => {
  it('resolves what lies in a root, absolute or relative', async () => {
    expect(await confine('photos')).toBe(join(data, 'photos'));
    expect(await confine('./photos/../photos/cat')).toBe(join(data, 'photos/cat'));
    expect(await confine('x.npz')).toBe(join(more, 'x.npz'));
    expect(await confine(join(more, 'x.npz'))).toBe(join(more, 'x.npz'));
    expect(await confine(data)).toBe(data);
    expect(await confine('.')).toBe(data);
  });

  it('follows links that stay inside, also from one root into the other, and a root that is a link', async () => {
    link('data/inner', 'photos/cat');
    link('data/other', more);
    link('alias', data);
    expect(await confine('inner')).toBe(join(data, 'photos/cat'));
    expect(await confine('other/x.npz')).toBe(join(more, 'x.npz'));
    expect(await confinePath('photos', [join(base, 'alias')], 'f')).toBe(join(data, 'photos'));
    expect(await confinePath(join(base, 'alias/photos'), [join(base, 'alias')], 'f')).toBe(
      join(data, 'photos'),
    );
  });

  it('says the same of whatever lies outside, there or not', async () => {
    link('data/out', join(base, 'secret'));
    link('data/out-file', join(base, 'secret/key'));
    link('data/nowhere', join(base, 'nothing/here'));
    const outside = [
      ...['/etc/passwd', '/no/such', '/', '../secret/key', '../secret/none', '../../../../etc/passwd'],
      ...['photos/../../secret', 'out/key', 'out/none', 'out-file', 'out-file/x', 'out/../out/key'],
      ...['', 'photos\0/x', join(base, 'database/key'), `${data}base/key`, `${data}/../secret/key`, '..'],
      ...['..//secret/key', '/proc/self/environ', '/dev/stdin'],
    ];
    const messages = await Promise.all(
      outside.map((path) =>
        confinePath(path, [data], 'data.source').then(
          (real) => `allowed ${real}`,
          (error: Error) => `${error.name}: ${error.message.replace(/'.*'/s, 'PATH')}`,
        ),
      ),
    );
    const same =
      'UserError: data.source PATH: it is in none of the folders that this server may read (--data)';
    expect(messages).toEqual(messages.map(() => same));
  });

  it('says of what is inside that it is not there', async () => {
    link('data/nowhere', 'nothing-here');
    for (const path of [
      'none',
      'photos/none/deeper',
      'photos/cat/1.png/x',
      'nowhere',
      'file:///etc/passwd',
    ]) {
      await expect(confine(path)).rejects.toThrow(`data.source '${path}': no such file or folder`);
    }
  });

  it('refuses everything where there are no roots, and shows one short line', async () => {
    await expect(confinePath('/etc', [], 'f')).rejects.toThrow("f '/etc': this server was given no folders");
    const long = `a\n\u001b[31m${'x'.repeat(5000)}`;
    const error = await confine(`/${long}`).catch((thrown: Error) => thrown);
    expect((error as Error).message).not.toMatch(/[\n\u001b]/);
    expect((error as Error).message.length).toBeLessThan(400);
  });
});

describe('confineTree', () => {
  const tree = (path: string) => confineTree(path, [data, more], 'data.source');

  it('lets a folder be whose links stay inside', async () => {
    link('data/photos/dog', 'cat');
    link('data/photos/2.png', join(more, 'x.npz'));
    expect(await tree('photos')).toBe(join(data, 'photos'));
    expect(await tree('x.npz')).toBe(join(more, 'x.npz'));
  });

  it.each([
    ['a file', 'data/photos/cat/2.png', '/etc/passwd', 'cat/2.png is a link that leads nowhere, or out of'],
    ['a folder', 'data/photos/dog', '/etc', 'dog is a link that leads nowhere, or out of'],
    ['nothing', 'data/photos/cat/3.png', '/no/such', 'cat/3.png is a link that leads nowhere, or out of'],
    [
      'a relative way out',
      'data/photos/cat/s',
      '../../../secret',
      'cat/s is a link that leads nowhere, or out of',
    ],
    ['itself', 'data/photos/cat/loop', '.', 'cat/loop is a link to a folder that contains it'],
    ['what lies above', 'data/photos/cat/up', '..', 'cat/up is a link to a folder that contains it'],
    ['a link to itself', 'data/photos/cat/me', 'me', 'cat/me is a link that leads nowhere'],
  ])('refuses a link to %s', async (_what, path, to, message) => {
    link(path, to);
    await expect(tree('photos')).rejects.toThrow(`data.source: ${message}`);
  });

  it('finds a link that hides behind another, and a circle of two', async () => {
    put('data/b/1.png');
    link('data/photos/step', '../b');
    link('data/b/out', '/etc');
    await expect(tree('photos')).rejects.toThrow('step/out is a link that leads nowhere, or out of');
    rmSync(join(data, 'b/out'));
    link('data/b/back', '../photos');
    await expect(tree('photos')).rejects.toThrow('step/back is a link to a folder that contains it');
  });

  it('looks into every folder once, however many links lead to it', async () => {
    // 20 folders, each with 20 links to the next: 20^20 ways, were they all gone.
    for (let i = 0; i < 20; i++) {
      mkdirSync(join(data, `many/${i}`), { recursive: true });
      if (i > 0) for (let j = 0; j < 20; j++) link(`data/many/${i - 1}/${j}`, `../${i}`);
    }
    expect(await tree('many')).toBe(join(data, 'many'));
  });
});

it('isWithin compares whole names', () => {
  expect(isWithin('/a/b', '/a/b')).toBe(true);
  expect(isWithin('/a/b', '/a/b/..c')).toBe(true);
  expect(isWithin('/', '/a')).toBe(true);
  for (const path of ['/a', '/a/bc', '/a/b/../c', '/']) expect(isWithin('/a/b', path)).toBe(false);
});

it('shows a path as it may be given: relative to the root that has it', () => {
  expect(pathWithin(join(more, 'x.npz'), [data, more])).toBe('x.npz');
  expect(pathWithin(data, [data, more])).toBe('.');
  expect(pathWithin('/etc/hosts', [data, more])).toBe('/etc/hosts');
  expect(pathWithin('fashion-mnist', [data, more])).toBe('fashion-mnist');
  expect(pathWithin('/gone/x', ['/gone'])).toBe('x');
});
