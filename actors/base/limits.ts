/** Deadlines and cancellation for promises, cleaned up on every path. */

import { onAbort } from '../../common/abort.ts';
import { CallError } from './call-errors.ts';

export interface Limits {
  /** Milliseconds from now; Infinity for no limit. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Longest delay of a Node timer, milliseconds; a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Resolves with `work`, unless the deadline passes or the signal is aborted first. It does not stop the work itself.
 * @throws CallError DEADLINE_EXCEEDED naming `what`; the signal's reason.
 */
export async function withLimits<T>(work: Promise<T>, limits: Limits, what: string): Promise<T> {
  const { signal, deadlineMs } = limits;
  let cleanUp: () => void = () => undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    const expire = () =>
      reject(new CallError('DEADLINE_EXCEEDED', `${what} took longer than ${Math.round(deadlineMs)} ms`));
    const timer = deadlineMs > MAX_TIMER_MS ? undefined : setTimeout(expire, Math.max(0, deadlineMs));
    const stop = onAbort(signal, () => reject(signal?.reason as Error));
    cleanUp = () => {
      clearTimeout(timer);
      stop();
    };
  });
  work.catch(() => undefined); // when a limit wins, nobody else handles a rejection of the work
  try {
    return await Promise.race([work, limit]);
  } finally {
    cleanUp();
  }
}

/** A signal that is aborted as soon as any of `signals` is; call `release` when it is no longer needed. */
export function joinSignals(signals: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal;
  release(): void;
} {
  const controller = new AbortController();
  const stops = signals.map((signal) => onAbort(signal, () => controller.abort(signal?.reason)));
  return { signal: controller.signal, release: () => stops.forEach((stop) => stop()) };
}

/** The messages of a stream, which ends without an error when the signal is aborted. */
export async function* messagesUntilAborted<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* messages;
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
