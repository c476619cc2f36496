/** Many calls at once: over a list, in its order or as they finish, or the first k of n. */

import { UserError } from '../../common/errors.ts';
import { checkLimit, checkMilliseconds, shown } from '../base/checks.ts';
import { MAX_TIMER_MS } from '../base/limits.ts';

export interface MapOptions {
  /** Maximum number of calls in progress at the same time; 16 by default. */
  readonly inFlight?: number;
}

const IN_FLIGHT = 16;

type Inputs<Input> = Iterable<Input> | AsyncIterable<Input>;

interface Outcome<Result> {
  readonly index: number;
  readonly result: PromiseSettledResult<Result>;
}

/** Calls `call` with each input, several at the same time, and yields the answers in the order of the inputs. */
export async function* map<Input, Result>(
  inputs: Inputs<Input>,
  call: (input: Input, index: number) => Promise<Result>,
  options: MapOptions = {},
): AsyncGenerator<Result, void, undefined> {
  const early = new Map<number, Result>();
  let next = 0;
  for await (const { index, value } of ended(inputs, call, options)) {
    early.set(index, value);
    for (; early.has(next); next++) {
      const answer = early.get(next) as Result;
      early.delete(next);
      yield answer;
    }
  }
}

/** The same, but yields each answer as soon as it arrives. */
export async function* mapUnordered<Input, Result>(
  inputs: Inputs<Input>,
  call: (input: Input, index: number) => Promise<Result>,
  options: MapOptions = {},
): AsyncGenerator<Result, void, undefined> {
  for await (const { value } of ended(inputs, call, options)) yield value;
}

async function* ended<Input, Result>(
  inputs: Inputs<Input>,
  call: (input: Input, index: number) => Promise<Result>,
  { inFlight = IN_FLIGHT }: MapOptions,
): AsyncGenerator<{ index: number; value: Result }, void, undefined> {
  checkLimit('map, inFlight', inFlight, 1);
  const source = (async function* () {
    yield* inputs;
  })();
  const running = new Map<number, Promise<Outcome<Result>>>();
  /** The next input, while it is awaited: answers do not wait for it. */
  let coming: Promise<IteratorResult<Awaited<Input>, unknown>> | null = null;
  let isExhausted = false;
  let count = 0;
  try {
    for (;;) {
      if (!isExhausted && running.size < inFlight) coming ??= handled(source.next());
      if (coming === null && running.size === 0) return;
      const news = await Promise.race([...(coming === null ? [] : [coming]), ...running.values()]);
      if ('result' in news) {
        running.delete(news.index);
        if (news.result.status === 'rejected') throw news.result.reason;
        yield { index: news.index, value: news.result.value };
        continue;
      }
      coming = null;
      if (news.done === true) isExhausted = true;
      else running.set(count, outcome(call(news.value as Input, count), count++));
    }
  } finally {
    const ending = handled(source.return());
    if (coming === null) await ending; // an input that is still awaited may never come
  }
}

async function outcome<Result>(work: Promise<Result>, index: number): Promise<Outcome<Result>> {
  const [result] = await Promise.allSettled([work]);
  return { index, result };
}

/** The same promise, whose rejection may stay unnoticed. */
function handled<Value>(work: Promise<Value>): Promise<Value> {
  work.catch(() => undefined);
  return work;
}

export interface WaitSomeOptions {
  /** Number of calls to wait for; 1 by default. */
  readonly count?: number;
  /** Maximum wait, milliseconds; no limit by default. */
  readonly timeoutMs?: number;
}

/**
 * Waits until `count` of the calls have settled or the time is up, then lists those that have, in their order. Cancels
 * nothing. @throws UserError for a count that can never be reached
 */
export async function waitSome<Result>(
  calls: readonly Promise<Result>[],
  { count = 1, timeoutMs = Infinity }: WaitSomeOptions = {},
): Promise<{ readonly done: Promise<Result>[]; readonly pending: Promise<Result>[] }> {
  if (!isList(calls)) throw new UserError(`waitSome of ${shown(calls)}: give it a list of calls.`);
  checkMilliseconds('waitSome, timeoutMs', timeoutMs);
  if (!(Number.isInteger(count) && count >= 0 && count <= calls.length)) {
    throw new UserError(
      `waitSome, count ${shown(count)}: it must lie between 0 and ${calls.length}, the number of calls.`,
    );
  }
  const ended = new Set<Promise<Result>>();
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    const note = (call: Promise<Result>) => {
      ended.add(call);
      if (ended.size >= count) resolve();
    };
    for (const call of calls)
      call.then(
        () => note(call),
        () => note(call),
      );
    if (count === 0) setImmediate(resolve); // those that have settled are recorded by now
    if (timeoutMs <= MAX_TIMER_MS) timer = setTimeout(resolve, timeoutMs);
  });
  clearTimeout(timer);
  return { done: calls.filter((call) => ended.has(call)), pending: calls.filter((call) => !ended.has(call)) };
}

function isList(value: unknown): boolean {
  return Array.isArray(value);
}
