// References of values between real processes: what the fixture prints.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/references.mjs');
const EXPECTED = [
  ['put', [1, true]],
  ['dropped', 0],
  ['kept by an actor', 2],
  ['read there', [7, 8]],
  ['dropped there', 0],
  ['outlives its maker', [1, 9]],
  ['handed on', [1, [9]]],
  ['all gone', 0],
  ['in a value', 3],
  ['read in a value', [1, 2]],
  ['with the value', 0],
  ['made with', [[5], 1]],
  ['made with, again', [[5], 1]],
  ['after the last process', 0],
  ['small', [0, true, true]],
  ['own', [1, 2, 2]],
  ['freed', 'NOT_FOUND'],
];

it('values stay as long as somebody has a reference, and no longer', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PROGRAM], { timeout: 840_000 });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(EXPECTED); // prettier-ignore
});
