/**
 * Orders and limits the calls of one actor: first come, first served, with a maximum of running and of waiting calls.
 */

import { CallError } from './call-errors.ts';

export interface MailboxLimits {
  /** Calls that run at the same time; 1 runs them one after another, in the order in which each caller sent them. */
  readonly maxConcurrency: number;
  /** Maximum number of waiting calls; one more is refused with RESOURCE_EXHAUSTED. */
  readonly maxPendingCalls: number;
}

export const DEFAULT_MAILBOX: MailboxLimits = { maxConcurrency: 1, maxPendingCalls: 10_000 };

export class Mailbox {
  readonly #limits: MailboxLimits;
  readonly #waiting = new Map<object, () => void>();
  readonly #running = new Set<object>();

  constructor(limits: MailboxLimits = DEFAULT_MAILBOX) {
    this.#limits = limits;
  }

  /** Number of waiting calls. */
  get depth(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** The calls that are running. */
  runningCalls(): Iterable<object> {
    return this.#running;
  }

  /**
   * Calls `begin` when it is the call's turn: at once if there is room. Returns a function that leaves the queue before
   * that. A call that has begun must call `done` when it ends. @throws CallError RESOURCE_EXHAUSTED when the mailbox is
   * full.
   */
  enter(call: object, begin: () => void): () => void {
    const { maxConcurrency, maxPendingCalls } = this.#limits;
    if (this.#running.size < maxConcurrency) {
      this.#running.add(call);
      begin();
      return () => undefined;
    }
    if (this.#waiting.size >= maxPendingCalls) {
      throw new CallError('RESOURCE_EXHAUSTED', `its mailbox is full (${maxPendingCalls} calls wait)`);
    }
    this.#waiting.set(call, begin);
    return () => this.#waiting.delete(call);
  }

  /** Records that a running call has ended, and begins the next one. */
  done(call: object): void {
    this.#running.delete(call);
    const next = this.#waiting.entries().next();
    if (next.done === true) return;
    const [waiting, begin] = next.value;
    this.#waiting.delete(waiting);
    this.#running.add(waiting);
    begin();
  }
}
