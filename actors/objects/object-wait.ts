/** Waits for some of many objects. */

import type { ObjectRef } from './object-ref.ts';
import { toError } from '../../common/errors.ts';
import { checkMilliseconds, checkWhole } from '../base/checks.ts';
import { MAX_TIMER_MS } from '../base/limits.ts';

export interface WaitOptions {
  /** How many must be here; all by default. */
  readonly count?: number;
  /** Milliseconds from now; no limit by default. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface WaitResult {
  /** Objects that are here, in the order of the refs. */
  readonly ready: ObjectRef[];
  /** Objects that cannot be obtained, each with its reason. */
  readonly failed: { readonly ref: ObjectRef; readonly reason: Error }[];
  readonly pending: ObjectRef[];
}

/**
 * Starts to fetch all refs at once. Resolves when `count` are here, none is pending, or the deadline passes, and
 * cancels the rest. @throws the signal's reason.
 */
export async function waitForAll(
  refs: readonly ObjectRef[],
  bring: (ref: ObjectRef, signal: AbortSignal) => Promise<void>,
  options: WaitOptions = {},
): Promise<WaitResult> {
  const { count = refs.length, deadlineMs = Infinity, signal } = options;
  if (options.count !== undefined) checkWhole('wait, count', count, 0);
  checkMilliseconds('wait, deadlineMs', deadlineMs);
  signal?.throwIfAborted();
  const outcomes = new Map<ObjectRef, true | Error>();
  const ending = new AbortController();
  const enough = new Promise<void>((resolve) => {
    const check = () => {
      const ready = [...outcomes.values()].filter((outcome) => outcome === true).length;
      if (ready >= Math.min(count, refs.length) || outcomes.size === new Set(refs).size) resolve();
    };
    for (const ref of new Set(refs)) {
      const settle = (outcome: true | Error) => {
        if (!ending.signal.aborted) outcomes.set(ref, outcome);
        check();
      };
      bring(ref, ending.signal).then(
        () => settle(true),
        (thrown: unknown) => settle(toError(thrown)),
      );
    }
    check();
    if (deadlineMs <= MAX_TIMER_MS) {
      const timer = setTimeout(resolve, deadlineMs);
      ending.signal.addEventListener('abort', () => clearTimeout(timer));
    }
    signal?.addEventListener('abort', () => resolve(), { once: true, signal: ending.signal });
  });
  await enough;
  ending.abort(new Error('the wait is over'));
  signal?.throwIfAborted();
  return resultOf(refs, outcomes);
}

function resultOf(refs: readonly ObjectRef[], outcomes: ReadonlyMap<ObjectRef, true | Error>): WaitResult {
  const having = (test: (outcome: true | Error | undefined) => boolean) =>
    refs.filter((ref) => test(outcomes.get(ref)));
  return {
    ready: having((outcome) => outcome === true),
    failed: having((outcome) => outcome instanceof Error).map((ref) => ({
      ref,
      reason: outcomes.get(ref) as Error,
    })),
    pending: having((outcome) => outcome === undefined),
  };
}
