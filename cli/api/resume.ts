/** Streams that resume after their connection broke. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CallError } from '../../actors/base/call-errors.ts';
import { isLost } from './client.ts';

export interface ResumeOptions {
  readonly signal: AbortSignal;
  /** Called each time that the connection is lost. */
  readonly onLost: (error: CallError) => void;
  /** How long it tries without an item before it gives up. */
  readonly patienceMs?: number;
  /** Passes time; tests need not. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const PATIENCE_MS = 600_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/**
 * The items of the stream that `open` begins, and again begins where the one before broke, until one ends well. A server
 * that was never reached is not waited for. @throws what ended the stream, when waiting cannot help or did not.
 */
export async function* resuming<Item>(
  open: () => AsyncIterable<Item>,
  { signal, onLost, patienceMs = PATIENCE_MS, wait = pass }: ResumeOptions,
): AsyncGenerator<Item> {
  let lastItemMs: number | null = null;
  let attempts = 0;
  for (;;) {
    try {
      for await (const item of open()) {
        lastItemMs = performance.now();
        attempts = 0;
        yield item;
      }
      return;
    } catch (thrown) {
      if (!isLost(thrown) || lastItemMs === null || performance.now() - lastItemMs > patienceMs) throw thrown;
      if (attempts++ === 0) onLost(thrown);
    }
    await wait(waitMs(attempts), signal);
  }
}

/** @throws the signal's reason when it is aborted. */
async function pass(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Doubles, with jitter, so that clients of a server that comes back do not come at once. */
function waitMs(attempts: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);
}
