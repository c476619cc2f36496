// Memory of a long training, in a process of its own so that nothing else moves it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const FIXTURE = join(import.meta.dirname, 'fixtures', 'train-2000-steps.mjs');

it('stays flat over 2,000 training steps: no tensor more, and less than 16 MiB between steps 500 and 2,000', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', FIXTURE], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const { tensors, residentBytes, losses } = JSON.parse(stdout) as Record<string, [number, number]>;
  expect(losses![1]).toBeLessThan(0.5 * losses![0]); // it did train
  expect(tensors![1]).toBe(tensors![0]);
  expect(residentBytes![1] - residentBytes![0]).toBeLessThan(16 * 2 ** 20);
});
