/**
 * Calls into this process, however they came (the shared stream, plain gRPC, a thread's port): finds the actor that each
 * is for, and lets it run (running-call.ts). Requests and responses are bytes here.
 */

import type { Log } from '../../common/log.ts';
import type { Failure } from '../base/call-errors.ts';
import type { CallMetrics } from './metrics.ts';
import { Mailbox } from '../base/mailbox.ts';
import type { Implementation, Service } from '../proto/protos.ts';
import { type RawMethod, rawMethods } from './raw-methods.ts';
import { RunningCall, stoppingError } from './running-call.ts';

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
  /** Of a call that streams its request messages; null for one that has one, `request`. */
  readonly requests: AsyncIterable<Uint8Array> | null;
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
