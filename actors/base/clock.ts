/** Time as an argument, so that tests of leases do not wait. */

import { onAbort } from '../../common/abort.ts';
import { MAX_TIMER_MS } from './limits.ts';

export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Calls `run` after `delayMs`; the returned function cancels it. The timer keeps no process alive. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(MAX_TIMER_MS, Math.max(0, delayMs)));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or as soon as the signal is aborted. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(delayMs, () => {
      stop();
      resolve();
    });
    const stop = onAbort(signal, () => {
      cancel();
      resolve();
    });
  });
}
