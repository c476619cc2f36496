import { describe, expect, it, vi } from 'vitest';
import type { ObjectRef } from './object-ref.ts';
import { waitForAll } from './object-wait.ts';

const [a, b, c] = ['a', 'b', 'c'].map((id): ObjectRef => ({ id, sizeBytes: 1, digest: '', holders: [] })) as [
  ObjectRef,
  ObjectRef,
  ObjectRef,
];

/** Brings `a` at once, fails `b`, and keeps `c` until it is cancelled. */
async function bring(ref: ObjectRef, signal: AbortSignal): Promise<void> {
  if (ref === b) throw new Error('lost');
  if (ref === c)
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
}

describe('waitForAll', () => {
  it('ends when as many as asked for are here, and cancels the rest', async () => {
    expect(await waitForAll([c, a], bring, { count: 1 })).toEqual({ ready: [a], failed: [], pending: [c] });
  });

  it('ends when all have settled', async () => {
    const result = await waitForAll([a, b, a], bring);
    expect(result.ready).toEqual([a, a]);
    expect(result.failed).toEqual([{ ref: b, reason: new Error('lost') }]);
    expect(await waitForAll([], bring)).toEqual({ ready: [], failed: [], pending: [] });
  });

  it('ends at its deadline', async () => {
    vi.useFakeTimers();
    const waiting = waitForAll([a, c], bring, { deadlineMs: 500 });
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toEqual({ ready: [a], failed: [], pending: [c] });
    vi.useRealTimers();
  });

  it("throws the signal's reason", async () => {
    const controller = new AbortController();
    const waiting = waitForAll([c], bring, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(waitForAll([a], bring, { signal: controller.signal })).rejects.toThrow('enough');
  });
});
