/** Order and bounds of the calls of one actor: first come, first served, at most so many at once, at most so many waiting. */

import { CallError } from './call-errors.ts';

export interface MailboxLimits {
  /** Calls that run at the same time; 1 runs them one after another, in the order of each caller. */
  readonly maxConcurrency: number;
  /** Calls that may wait; one more is refused with RESOURCE_EXHAUSTED. */
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

  /** Calls that wait. */
  get depth(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** The calls that run now. */
  runningCalls(): Iterable<object> {
    return this.#running;
  }

  /**
   * Runs `begin` for a call in its turn: now, if there is room. Returns how to leave the queue before that. Whoever was
   * begun calls `done` when it is over. @throws CallError RESOURCE_EXHAUSTED when the mailbox is full.
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

  /** A begun call is over: the next one begins. */
  done(call: object): void {
    this.#running.delete(call);
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [waiting, begin] = next;
    this.#waiting.delete(waiting);
    this.#running.add(waiting);
    begin();
  }
}
