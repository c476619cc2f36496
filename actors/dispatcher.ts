/**
 * Calls into this process, however they came (the shared stream, plain gRPC, a thread's port): finds the actor and the
 * method, waits for the actor's turn, runs the handler, and says how it ended. Requests and responses are bytes here.
 */

import type { Log } from '../common/log.ts';
import { CallError, toFailure } from './call-errors.ts';
import type { Failure } from './call-errors.ts';
import { currentCall } from './call-scope.ts';
import type { CallMetrics } from './metrics.ts';
import { Mailbox } from './mailbox.ts';
import type { Implementation, Method, Service } from './protos.ts';

/** What a handler knows of its call. */
export interface CallContext {
  /** Aborted when the caller cancels, the deadline passes or the process stops. */
  readonly signal: AbortSignal;
  /** Milliseconds that the caller had left when the call arrived; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  readonly log: Log;
}

export interface IncomingCall {
  /** Empty for the process itself. */
  readonly actorId: string;
  /** 0 for any. */
  readonly incarnation: number;
  /** gRPC path. */
  readonly method: string;
  readonly request: Uint8Array;
  /** Infinity for none. */
  readonly deadlineMs: number;
}

/** Where a call's answers go. Exactly one of `answer`, `end` and `fail` is called, once, last. */
export interface CallOutput {
  /** The one message of a unary method. */
  answer(message: Uint8Array): void;
  /** One message of a stream; a promise when the caller has enough for now. */
  message(message: Uint8Array): Promise<void> | null;
  end(): void;
  fail(failure: Failure): void;
}

export interface DispatchedCall {
  /** Aborts the call's signal, and fails the call when it has not begun. */
  cancel(reason: Error): void;
}

export type RawUnary = (request: Uint8Array, context: CallContext) => Promise<Uint8Array>;
export type RawStream = (request: Uint8Array, context: CallContext) => AsyncIterable<Uint8Array>;

/** A method as bytes in, bytes out. */
export type RawMethod =
  { readonly isStream: false; readonly run: RawUnary } | { readonly isStream: true; readonly run: RawStream };

/** An actor (or the process itself): its methods here by gRPC path, or how to reach the thread that has them. */
export type Target = LocalTarget | ThreadTarget;

export interface LocalTarget {
  readonly kind: 'local';
  readonly methods: ReadonlyMap<string, RawMethod>;
  readonly mailbox: Mailbox;
  readonly incarnation: number;
}

export interface ThreadTarget {
  readonly kind: 'thread';
  /** gRPC paths. */
  readonly methods: ReadonlySet<string>;
  dispatch(call: IncomingCall, output: CallOutput): DispatchedCall;
}

const NO_LIMIT = { maxConcurrency: Infinity, maxPendingCalls: Infinity };
const MAX_TIMER_MS = 2 ** 31 - 1;
/** What metrics call calls that reached no method. */
const UNKNOWN_METHOD = 'unknown';

/** Handlers of a service as raw methods. @throws Error when a method has no handler. */
export function rawMethods<Client, Handlers>(
  service: Service<Client, Handlers>,
  handlers: Implementation<Handlers, CallContext>,
): Map<string, RawMethod> {
  const byName: Readonly<Record<string, unknown>> = handlers;
  const methods = new Map<string, RawMethod>();
  for (const [name, method] of service.methods) {
    const handler = byName[name];
    if (typeof handler !== 'function') throw new Error(`${service.name} has no handler for ${name}`);
    if (method.requestStream) throw new Error(`${service.name}.${name}: client streaming is not supported`);
    methods.set(method.path, rawMethod(method, handler.bind(handlers) as Handler));
  }
  return methods;
}

type Handler = (request: object, context: CallContext) => Promise<object> | object | AsyncIterable<object>;

function rawMethod(method: Method, handler: Handler): RawMethod {
  const decode = (request: Uint8Array) => {
    try {
      return method.requestDeserialize(request as Buffer);
    } catch (cause) {
      throw new CallError('INVALID_ARGUMENT', `the request is no message of ${method.path}`, { cause });
    }
  };
  if (!method.responseStream) {
    const run: RawUnary = async (request, context) =>
      method.responseSerialize(((await handler(decode(request), context)) as object | undefined) ?? {});
    return { isStream: false, run };
  }
  const run: RawStream = async function* (request, context) {
    for await (const message of handler(decode(request), context) as AsyncIterable<object>) {
      yield method.responseSerialize(message);
    }
  };
  return { isStream: true, run };
}

export interface DispatcherOptions {
  readonly log: Log;
  readonly metrics?: CallMetrics;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #own = new Map<string, RawMethod>();
  readonly #targets = new Map<string, Target>();
  readonly #open = new Set<RunningCall>();
  #isStopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const own: LocalTarget = {
      kind: 'local',
      methods: this.#own,
      mailbox: new Mailbox(NO_LIMIT),
      incarnation: 0,
    };
    this.#targets.set('', own);
  }

  /** Adds methods of the process itself, which run whenever they are called. */
  addService<Client, Handlers>(
    service: Service<Client, Handlers>,
    handlers: Implementation<Handlers, CallContext>,
  ): void {
    for (const [path, method] of rawMethods(service, handlers)) this.#own.set(path, method);
  }

  get log(): Log {
    return this.#options.log;
  }

  /** Whether the process itself serves a method. */
  hasOwn(path: string): boolean {
    return this.#own.has(path);
  }

  addActor(actorId: string, target: Target): void {
    this.#targets.set(actorId, target);
  }

  removeActor(actorId: string): void {
    this.#targets.delete(actorId);
  }

  /** Actors that are served here. */
  actors(): ReadonlyMap<string, Target> {
    return new Map([...this.#targets].filter(([actorId]) => actorId !== ''));
  }

  dispatch(call: IncomingCall, output: CallOutput): DispatchedCall {
    const target = this.#targets.get(call.actorId);
    if (target?.kind === 'thread' && !this.#isStopping) return target.dispatch(call, output);
    const running = new RunningCall(call, output, this.#options, (ended) => this.#open.delete(ended));
    this.#open.add(running);
    if (this.#isStopping) running.cancel(stoppingError());
    else running.begin(target?.kind === 'local' ? target : undefined);
    return running;
  }

  /** Refuses new calls and aborts those in progress. Resolves when they have ended, at the latest after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const call of [...this.#open]) call.cancel(stoppingError());
    const endMs = performance.now() + graceMs;
    while (this.#open.size > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** One call from its arrival to its end. */
class RunningCall implements DispatchedCall, CallContext {
  readonly #call: IncomingCall;
  readonly #output: CallOutput;
  readonly #options: DispatcherOptions;
  readonly #onEnd: (call: RunningCall) => void;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  /** Made when a handler asks for it: most calls end without. */
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
    const expire = () => this.cancel(new CallError('DEADLINE_EXCEEDED', 'the deadline passed'));
    this.#timer = call.deadlineMs < MAX_TIMER_MS ? setTimeout(expire, Math.ceil(call.deadlineMs)) : undefined;
  }

  get deadlineMs(): number {
    return this.#call.deadlineMs;
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
      this.#mailbox = target!.mailbox;
      this.#leave = this.#mailbox.enter(() => void this.#run(method));
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

  async #run(method: RawMethod): Promise<void> {
    this.#hasBegun = true;
    this.#leave = null;
    const endMs = this.#startMs + this.#call.deadlineMs;
    try {
      await currentCall.run({ endMs }, () =>
        method.isStream ? this.#stream(method.run) : this.#unary(method.run),
      );
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      this.#mailbox?.done();
    }
  }

  async #unary(run: RawUnary): Promise<void> {
    const answer = await run(this.#call.request, this);
    this.#close('OK');
    this.#output.answer(answer);
  }

  async #stream(run: RawStream): Promise<void> {
    for await (const message of run(this.#call.request, this)) {
      if (this.#abortReason !== null) throw this.#abortReason;
      const room = this.#output.message(message);
      if (room !== null) await this.#orAborted(room);
    }
    if (this.#abortReason !== null) throw this.#abortReason; // a handler may just stop when it is told to
    this.#close('OK');
    this.#output.end();
  }

  #orAborted(room: Promise<void>): Promise<void> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(this.#abortReason!);
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      void room.then(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  /** After an abort the answer is the abort's own, whatever the handler threw. */
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
    clearTimeout(this.#timer);
    this.#onEnd(this);
    // A caller may name what it likes: only methods that exist become labels.
    const method = this.#isFound ? this.#call.method.slice(1) : UNKNOWN_METHOD;
    this.#options.metrics?.observe(method, code, (performance.now() - this.#startMs) / 1000);
  }
}

/** No detail and UNAVAILABLE: callers treat it as a lost connection. */
class StoppingError extends Error {
  override readonly name = 'StoppingError';
}

/** The actor is not, or no longer, in this process; likewise. */
class AbsentError extends Error {
  override readonly name = 'AbsentError';
}

function stoppingError(): Error {
  return new StoppingError('the process is stopping');
}
