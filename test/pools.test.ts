// Pools and tasks in real processes: what the fixture prints.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/pools.mjs');
const EXPECTED = [
  ['one call', ['alive']],
  ['asked', 'here'],
  ['asked a dead one', ['ActorError', true]],
  ['asked again', ['ActorError', true]],
  ['asked another', 'here'],
  ['members', ['alive']],
  ['closed at once', ['dead', 'dead', 'dead', 'dead']],
  ['closed', true],
];

it('a pool starts what its calls need, keeps a member whose callee died, and closes while members start', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PROGRAM], { timeout: 840_000 });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(EXPECTED); // prettier-ignore
});
