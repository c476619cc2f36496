import { expect, it, vi } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { WorkQueue } from './work-queue.ts';

it('works on a key once at a time, and once more where it was added during the work', async () => {
  const gates: (() => void)[] = [];
  const seen: string[] = [];
  const work = (key: string) => {
    seen.push(key);
    return new Promise<void>((resolve) => gates.push(resolve));
  };
  const queue = new WorkQueue({ atOnce: 2, work, onFailure: () => undefined });
  for (const key of ['a', 'a', 'b', 'c', 'a']) queue.add(key);
  expect(seen).toEqual(['a', 'b']); // c waits for room, a for itself
  gates[0]!();
  await eventually(() => expect(seen.length).toBe(3));
  gates[1]!();
  gates[2]!();
  await eventually(() => expect(seen.toSorted()).toEqual(['a', 'a', 'b', 'c']));
  gates[3]!();
  await queue.close();
});

it('tries again what failed, after waits of 0.5, 1 and 2 s', async () => {
  vi.useFakeTimers();
  try {
    let left = 3;
    const attempts: number[] = [];
    const work = () => (left-- > 0 ? Promise.reject(new Error('not yet')) : Promise.resolve());
    const queue = new WorkQueue({ atOnce: 1, work, onFailure: (_key, _thrown, n) => attempts.push(n) });
    queue.add('a');
    for (const [waitMs, count] of [
      [499, 1],
      [1, 2],
      [999, 2],
      [1, 3],
      [1999, 3],
    ]) {
      await vi.advanceTimersByTimeAsync(waitMs!);
      expect(attempts.length).toBe(count);
    }
    await vi.advanceTimersByTimeAsync(1);
    expect([attempts, left]).toEqual([[1, 2, 3], -1]);
    await queue.close();
  } finally {
    vi.useRealTimers();
  }
});
