// The cards and variables of actors in real processes and threads: what the fixture prints. No card is needed for it.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/cards.mjs');
const EXPECTED = [
  ['process', ['0,1', '2', '2', '3']],
  ['process, variables', ['2', '0.5', '0.5', '1']],
  ['restarted', '0,1'],
  ['process, no card left', ['pending', true]],
  ['process, given on', '3'],
  ['thread', ['0,1', '2', '2', '3']],
  ['thread, variables', ['2', '0.5', '0.5', '1']],
  ['thread, no card left', ['pending', true]],
  ['thread, given on', '3'],
  ['this program', null],
];

it('each actor sees its own cards and variables, also in threads of one process', async () => {
  const { CUDA_VISIBLE_DEVICES: _, ...env } = process.env;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PROGRAM], {
    timeout: 840_000,
    env,
  });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(EXPECTED); // prettier-ignore
});
