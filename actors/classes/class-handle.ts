/** Methods of class actors for callers, built on the calls of any actor. */

import { setTimeout as delay } from 'node:timers/promises';
import { retryDelayMs } from '../base/retry.ts';
import type { AnyService, CallOptions } from '../proto/protos.ts';
import type { ClassCallOptions } from './class-types.ts';

/** Calls through a handle or a pool by method name: a list of arguments, and options. */
export type ListCalls = Readonly<Record<string, (args: unknown[], options: CallOptions) => unknown>>;

/** Methods that take their arguments one by one, with `with(options)`. */
export function spreadMethods(service: AnyService, calls: ListCalls): Record<string, unknown> {
  const methods: Record<string, unknown> = {};
  for (const [name, { responseStream }] of service.methods) {
    const call = calls[name]!;
    const adjusted = (options: ClassCallOptions) =>
      responseStream
        ? (...args: unknown[]) => keptBy(call(args, options), args)
        : (...args: unknown[]) =>
            keptDuring(args, () => withRetries((left) => call(args, left) as Promise<unknown>, options));
    methods[name] = Object.assign(adjusted({}), { with: adjusted });
  }
  return methods;
}

const kept = new Set<unknown>();
const keptWith = new WeakMap<object, unknown>();

/** Keeps the arguments of a call reachable until it ends: their references hold the objects for the receiver. */
export async function keptDuring<Answer>(things: unknown, call: () => Promise<Answer>): Promise<Answer> {
  const isList = Array.isArray(things);
  if (isList && !things.some((thing) => typeof thing === 'object')) return call();
  const item = isList ? [...(things as unknown[])] : { things };
  kept.add(item);
  try {
    return await call();
  } finally {
    kept.delete(item);
  }
}

/** The same for a stream, for as long as the program has it. */
function keptBy(stream: unknown, args: unknown[]): unknown {
  keptWith.set(stream as object, args);
  return stream;
}

/** Repeats a call until it succeeds, as often and after such errors as `options` allow, within its one deadline. */
export async function withRetries<Answer>(
  call: (options: CallOptions) => Promise<Answer>,
  { retries = 0, retryOn, ...options }: ClassCallOptions,
): Promise<Answer> {
  if (retries === 0) return call(options);
  const { deadlineMs, signal } = options;
  const endMs = deadlineMs === undefined ? Infinity : performance.now() + deadlineMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(
        deadlineMs === undefined ? options : { ...options, deadlineMs: endMs - performance.now() },
      );
    } catch (thrown) {
      signal?.throwIfAborted();
      const waitMs = retryDelayMs(attempt, Math.random());
      if (attempt > retries || !isChosen(thrown, retryOn) || performance.now() + waitMs >= endMs)
        throw thrown;
      await delay(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
      signal?.throwIfAborted();
    }
  }
}

function isChosen(thrown: unknown, retryOn: ClassCallOptions['retryOn']): boolean {
  if (retryOn === undefined) return true;
  if (typeof retryOn === 'function') return retryOn(thrown);
  return retryOn.some((errorClass) => thrown instanceof errorClass);
}
