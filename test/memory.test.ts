// Memory of a long training, in a process of its own so that nothing else moves it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { median } from '../bench/statistics.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures', 'train-2000-steps.mjs');

/** Bytes that 500 steps may add: a third of 16 MiB. */
const MAX_GROWTH_BYTES = (16 * 2 ** 20) / 3;

// A leak adds to each 500 steps, so to the median of three; what adds once, as a busy machine may make it do, does not.
it('stays flat over 2,000 training steps: no tensor more, and less than 16 MiB in 1,500 warm steps', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', FIXTURE], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const { tensors, residentBytes, losses } = JSON.parse(stdout) as Record<string, number[]>;
  expect(losses![1]).toBeLessThan(0.5 * losses![0]!); // it did train
  expect(tensors![1]).toBe(tensors![0]);
  expect(residentBytes).toHaveLength(4);
  const growth = residentBytes!.slice(1).map((bytes, i) => bytes - residentBytes![i]!);
  expect(median(growth)).toBeLessThan(MAX_GROWTH_BYTES);
});
