import { expect, it } from 'vitest';
import type { RunApi } from './run-client.ts';
import { RunWatches } from './run-watches.ts';

it('has one look at the object when streams break, and pauses longer and longer before the next stream', async () => {
  const streams = [2, 0, 0, 1, 0]; // events of each, before it breaks
  const told: (string | number)[] = [];
  let sequence = 0;
  const watchRun = async function* ({ fromSequence }: { fromSequence: number }) {
    told.push(`from ${fromSequence}`);
    for (let left = streams.shift()!; left > 0; left--) yield { sequence: ++sequence };
    throw await Promise.resolve(new Error('the coordinator is away'));
  };
  await new Promise<void>((resolve) => {
    const pause = (pauseMs: number) => {
      told.push(pauseMs);
      if (streams.length > 0) return Promise.resolve();
      watches.close();
      resolve();
      return Promise.resolve();
    };
    const watches = new RunWatches(
      { watchRun } as unknown as RunApi,
      (object) => void told.push(object),
      pause,
    );
    watches.follow('photos', 'runs/photos');
  });
  expect(told).toEqual([
    ...['from 1', 'photos', 'photos', 'photos', 2000],
    ...['from 3', 4000],
    ...['from 3', 8000],
    ...['from 3', 'photos', 'photos', 2000],
    ...['from 4', 4000],
  ]);
});
