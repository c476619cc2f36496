/** One call from its arrival to its end: its turn in the mailbox, its deadline, its cancellation, its metrics. */

import { onAbort } from '../../common/abort.ts';
import type { Log } from '../../common/log.ts';
import type { Activity } from '../base/activity.ts';
import { CallError, type Failure, toFailure } from '../base/call-errors.ts';
import { chainPlace, currentCall } from '../base/call-scope.ts';
import type { CallMetrics } from './metrics.ts';
import type { LocalTarget } from './target.ts';
import type { CallContext, CallOutput, DispatchedCall, IncomingCall } from './call.ts';
import { MAX_TIMER_MS } from '../base/limits.ts';
import type { Mailbox } from '../base/mailbox.ts';
import type { RawMethod, RawStream, RawUnary } from './raw-methods.ts';

export interface DispatcherOptions {
  readonly log: Log;
  readonly metrics?: CallMetrics;
  /** Records the calls in progress. */
  readonly activity?: Activity;
  /** How long a call may wait for calls of its own chain; 5 s by default. */
  readonly circleMs?: number;
}

/**
 * A call that its caller does not await may wait for its caller, but only briefly, or all would wait for each other.
 */
const CIRCLE_MS = 5000;
/** Metric label of calls that reached no method. */
const UNKNOWN_METHOD = 'unknown';

let calls = 0;
/** Numbers of the calls that have not been answered. */
const openCalls = new Set<number>();

export class RunningCall implements DispatchedCall, CallContext {
  readonly #call: IncomingCall;
  readonly #output: CallOutput;
  readonly #options: DispatcherOptions;
  readonly #onEnd: (call: RunningCall) => void;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #number = ++calls;
  #circleTimer: NodeJS.Timeout | undefined;
  /** Created on demand: most calls end without one. */
  #controller: AbortController | null = null;
  #abortReason: Error | null = null;
  #leave: (() => void) | null = null;
  #mailbox: Mailbox | null = null;
  #isEnded = false;
  #hasBegun = false;
  #isFound = false;

  constructor(
    call: IncomingCall,
    output: CallOutput,
    options: DispatcherOptions,
    onEnd: (call: RunningCall) => void,
  ) {
    this.#call = call;
    this.#output = output;
    this.#options = options;
    this.#onEnd = onEnd;
    openCalls.add(this.#number);
    const expire = () => this.cancel(new CallError('DEADLINE_EXCEEDED', 'the deadline passed'));
    this.#timer = call.deadlineMs < MAX_TIMER_MS ? setTimeout(expire, Math.ceil(call.deadlineMs)) : undefined;
  }

  get deadlineMs(): number {
    return this.#call.deadlineMs;
  }

  /** This call as an element of chains of calls. */
  get place(): string {
    const { actorId, incarnation, method } = this.#call;
    return `${actorId} ${method.slice(method.lastIndexOf('/') + 1)} #${incarnation}/${this.#number}`;
  }

  get log(): Log {
    return this.#options.log.with({ call: this.#call.method.slice(1) });
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  begin(target: LocalTarget | undefined): void {
    try {
      const method = this.#find(target);
      this.#mailbox = target!.mailboxes?.get(this.#call.method) ?? target!.mailbox;
      this.#leave = this.#mailbox.enter(this, () => void this.#run(method));
      if (!this.#hasBegun && this.#call.chain.length > 0) this.#awaitTurn();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  cancel(reason: Error): void {
    if (this.#isEnded || this.#abortReason !== null) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    if (this.#hasBegun) return;
    this.#leave?.();
    this.#fail(reason);
  }

  #find(target: LocalTarget | undefined): RawMethod {
    const { actorId, incarnation, method } = this.#call;
    if (target === undefined) throw new AbsentError(`no actor ${actorId} in this process`);
    if (incarnation !== 0 && target.incarnation !== incarnation) {
      throw new AbsentError(`incarnation ${incarnation} of ${actorId} is over`);
    }
    const found = target.methods.get(method);
    if (found === undefined) throw new CallError('UNIMPLEMENTED', `no method ${method}`);
    this.#isFound = true;
    return found;
  }

  /** If the calls ahead of it belong to its own chain, it would wait for itself. */
  #awaitTurn(): void {
    this.#circleTimer = setTimeout(() => {
      if (this.#hasBegun || this.#isEnded) return;
      const { chain } = this.#call;
      const running = [...this.#mailbox!.runningCalls()].map((call) => (call as RunningCall).place);
      if (!running.every((place) => chain.includes(place))) return this.#awaitTurn();
      this.#leave?.();
      const circle = [...chain.slice(chain.indexOf(running[0]!)), this.place].map(chainPlace).join(' → ');
      const advice = 'let the actor answer more calls at a time (maxConcurrency), or call back later';
      this.#fail(
        new CallError('FAILED_PRECONDITION', `calls wait for each other in a circle: ${circle}; ${advice}`),
      );
    }, this.#options.circleMs ?? CIRCLE_MS).unref();
  }

  async #run(method: RawMethod): Promise<void> {
    this.#hasBegun = true;
    this.#leave = null;
    const { activity } = this.#options;
    activity?.count(this.#call.method, 1);
    const scope = {
      endMs: this.#startMs + this.#call.deadlineMs,
      chain: () => this.#chain(),
      isOver: () => this.#isEnded && this.#abortReason === null,
    };
    try {
      await currentCall.run(scope, () =>
        method.isStream ? this.#stream(method.run) : this.#unary(method.run),
      );
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      activity?.count(this.#call.method, -1);
      this.#mailbox?.done(this);
    }
  }

  /** The calls that wait for this one, and itself: one that was answered waits no longer, nor do those before it. */
  #chain(): string[] {
    const { actorId, incarnation, chain } = this.#call;
    const isOver = (place: string) =>
      place.startsWith(`${actorId} `) &&
      place.includes(` #${incarnation}/`) &&
      !openCalls.has(Number(place.slice(place.lastIndexOf('/') + 1)));
    return [...chain.slice(chain.findLastIndex(isOver) + 1), this.place];
  }

  async #unary(run: RawUnary): Promise<void> {
    const answer = await run(this.#call, this);
    this.#close('OK');
    this.#output.answer(answer);
  }

  async #stream(run: RawStream): Promise<void> {
    for await (const message of run(this.#call, this)) {
      if (this.#abortReason !== null) throw this.#abortReason;
      const room = this.#output.message(message);
      if (room !== null) await this.#orAborted(room);
    }
    if (this.#abortReason !== null) throw this.#abortReason; // a handler may simply return when it is aborted
    this.#close('OK');
    this.#output.end();
  }

  #orAborted(room: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = onAbort(this.signal, () => reject(this.#abortReason!));
      void room.then(() => {
        stop();
        resolve();
      });
    });
  }

  /** After an abort, the abort decides the answer, whatever the handler threw. */
  #fail(thrown: unknown): void {
    if (this.#isEnded) return;
    const cause = this.#abortReason ?? thrown;
    const failure: Failure =
      cause instanceof StoppingError || cause instanceof AbsentError
        ? { code: 'UNAVAILABLE', message: cause.message, kind: null }
        : toFailure(cause, this.log);
    this.#close(failure.code);
    this.#output.fail(failure);
  }

  #close(code: string): void {
    this.#isEnded = true;
    openCalls.delete(this.#number);
    clearTimeout(this.#timer);
    clearTimeout(this.#circleTimer);
    this.#onEnd(this);
    // A caller may send any name: only methods that exist become labels.
    const method = this.#isFound ? this.#call.method.slice(1) : UNKNOWN_METHOD;
    this.#options.metrics?.observe(method, code, (performance.now() - this.#startMs) / 1000);
  }
}

/** UNAVAILABLE without details: callers treat it as a lost connection. */
class StoppingError extends Error {
  override readonly name = 'StoppingError';
}

/** The actor is not, or is no longer, in this process; treated the same way. */
class AbsentError extends Error {
  override readonly name = 'AbsentError';
}

/** The reason for calls that end because the process stops. */
export function stoppingError(): Error {
  return new StoppingError('the process is stopping');
}
