import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { onAbort, whenAborted } from './abort.ts';

it('runs once, when the signal is aborted', () => {
  const [controller, runs] = [new AbortController(), [] as string[]];
  onAbort(controller.signal, () => runs.push('run'));
  expect(runs).toEqual([]);
  controller.abort();
  controller.abort();
  expect(runs).toEqual(['run']);
});

it('runs at once when the signal was aborted before', () => {
  let runs = 0;
  onAbort(AbortSignal.abort(), () => runs++);
  expect(runs).toBe(1);
});

it('listens to nothing after it was stopped, nor without a signal', () => {
  const { signal } = new AbortController();
  const stop = onAbort(signal, () => undefined);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  stop();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(onAbort(undefined, () => expect.unreachable())).not.toThrow();
});

it('whenAborted waits for the first of several, and leaves no listener at the others', async () => {
  const [first, second] = [new AbortController(), new AbortController()];
  let isOver = false;
  const over = whenAborted(first.signal, second.signal).then(() => (isOver = true));
  await Promise.resolve();
  expect(isOver).toBe(false);
  second.abort();
  await over;
  expect(getEventListeners(first.signal, 'abort')).toHaveLength(0);
});
