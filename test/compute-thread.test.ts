// The compute thread with a real worker thread that runs the built package.
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { computeThread, silentLog } from '../actors/index.ts';
import type { ComputeThread } from '../actors/index.ts';

interface Operations {
  double(values: Float32Array): Float32Array;
  refuse(field: string): void;
  fail(payload: null): void;
  steps(count: number): number;
  spin(payload: null): void;
  die(payload: null): void;
}

const ENTRY = join(import.meta.dirname, 'fixtures', 'actors', 'compute.mjs');
const opened: ComputeThread<Operations>[] = [];

function open(): { thread: ComputeThread<Operations>; deaths: Error[] } {
  const deaths: Error[] = [];
  const onDeath = (error: Error) => void deaths.push(error);
  const thread = computeThread<Operations>(ENTRY, { log: silentLog, onDeath });
  opened.push(thread);
  return { thread, deaths };
}

afterEach(async () => {
  for (const thread of opened.splice(0)) await thread.close();
});

it('answers calls, handing buffers over both ways', async () => {
  const { thread } = open();
  const values = Float32Array.from([1, 2.5]);
  expect(await thread.call('double', values, { transfer: [values.buffer] })).toEqual(
    Float32Array.from([2, 5]),
  );
  expect(values).toHaveLength(0); // it was handed over
  const progress: unknown[] = [];
  expect(await thread.call('steps', 3, { onProgress: (step) => progress.push(step) })).toBe(3);
  expect(progress).toEqual([1, 2, 3]);
});

it('carries errors over; a UserError stays one', async () => {
  const { thread } = open();
  await expect(thread.call('refuse', 'budget')).rejects.toMatchObject({
    name: 'UserError',
    message: 'budget must be positive',
  });
  const defect = thread.call('fail', null);
  await expect(defect).rejects.toMatchObject({ name: 'RangeError', message: 'a defect' });
  await expect(defect).rejects.toHaveProperty('stack', expect.stringContaining('compute.mjs'));
});

it('cancels an operation that never returns to its event loop', async () => {
  const { thread } = open();
  const controller = new AbortController();
  const spinning = thread.call('spin', null, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  });
  await expect(spinning).rejects.toThrow('enough');
  expect(await thread.call('steps', 1)).toBe(1);
});

it('rejects pending and later calls when the thread dies, and reports the death once', async () => {
  const { thread, deaths } = open();
  const pending = [thread.call('die', null), thread.call('steps', 1)];
  for (const call of pending) await expect(call).rejects.toThrow('the compute thread exited with code 5');
  await expect(thread.call('steps', 1)).rejects.toThrow('exited with code 5');
  expect(deaths).toHaveLength(1);
});

it('ends quietly when closed', async () => {
  const { thread, deaths } = open();
  const pending = thread.call('spin', null);
  const rejected = expect(pending).rejects.toThrow('the compute thread was closed');
  await thread.close();
  await rejected;
  expect(deaths).toEqual([]);
});
