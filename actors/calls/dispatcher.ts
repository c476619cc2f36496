/**
 * Dispatches calls into this process from every transport (the shared stream, plain gRPC, a thread's port): finds the
 * target actor and runs the call (running-call.ts). Requests and responses are bytes here.
 */

import type { Log } from '../../common/log.ts';
import type { CallContext, CallOutput, DispatchedCall, IncomingCall } from './call.ts';
import { Mailbox } from '../base/mailbox.ts';
import type { Implementation, Service } from '../proto/protos.ts';
import { type RawMethod, rawMethods } from './raw-methods.ts';
import { type DispatcherOptions, RunningCall, stoppingError } from './running-call.ts';
import type { LocalTarget, Target } from './target.ts';

const NO_LIMIT = { maxConcurrency: Infinity, maxPendingCalls: Infinity };

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

  /** Adds methods of the process itself, which run without waiting for a turn. */
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

  /** The actors served by this process. */
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

  /** Refuses new calls and aborts those in progress. Resolves when they have ended, or after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const call of [...this.#open]) call.cancel(stoppingError());
    const endMs = performance.now() + graceMs;
    while (this.#open.size > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
