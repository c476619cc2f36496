// Results do not depend on how threads are timed: a graph that runs alone, or in two threads of a process at once while
// others keep every core busy, gives the same bits.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, it } from 'vitest';

const STEPS_THREAD = join(import.meta.dirname, 'fixtures', 'steps-thread.mjs');

interface Outcome {
  /** SHA-256 of the parameters after the last step. */
  readonly digest: string;
  /** When the steps began and ended, milliseconds. */
  readonly began: number;
  readonly ended: number;
}

const spinning: Worker[] = [];
afterEach(async () => {
  for (const worker of spinning.splice(0)) await worker.terminate();
});

/** As many threads as there are cores that do nothing but spin. */
async function loadEveryCore(): Promise<void> {
  for (let i = 0; i < availableParallelism(); i++) {
    const worker = new Worker('require("worker_threads").parentPort.postMessage(0); for (;;);', {
      eval: true,
    });
    spinning.push(worker);
    await once(worker, 'message');
  }
}

/** Trains in `count` threads that begin their steps together; each operator may use `threads` threads. */
async function train(count: number, threads: number): Promise<Outcome[]> {
  const start = new SharedArrayBuffer(4);
  const workers = Array.from(
    { length: count },
    () => new Worker(STEPS_THREAD, { workerData: { start, together: count, threads } }),
  );
  const outcomes = await Promise.all(
    workers.map(async (worker) => (await once(worker, 'message')) as [Outcome]),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  return outcomes.map(([outcome]) => outcome);
}

it.each([1, 2])(
  'gives the same bits alone, twice at once, and under load, with %i threads an operator',
  async (threads) => {
    const [alone] = await train(1, threads);
    await loadEveryCore();
    const together = await train(2, threads);
    expect(together.map(({ digest }) => digest)).toEqual([alone!.digest, alone!.digest]);
    const overlap =
      Math.min(...together.map(({ ended }) => ended)) - Math.max(...together.map(({ began }) => began));
    expect(overlap).toBeGreaterThan(0); // they did run at the same time
  },
);
