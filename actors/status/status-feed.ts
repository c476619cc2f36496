/** Distributes actor statuses to listeners as they change. It stores none. */

import { AsyncQueue } from '../base/async-queue.ts';
import type { ActorStatus } from './status.ts';

export type StatusListener = (status: ActorStatus) => void;

export class StatusFeed {
  readonly #ofAll = new Set<StatusListener>();
  readonly #ofOne = new Map<string, Set<StatusListener>>();
  readonly #watches = new Set<AsyncQueue<ActorStatus>>();

  /**
   * Calls the listener at each change of an actor, or of any actor if none is named; returns a function that stops it.
   */
  listen(listener: StatusListener, actorId?: string): () => void {
    const listeners = actorId === undefined ? this.#ofAll : (this.#ofOne.get(actorId) ?? new Set());
    if (actorId !== undefined) this.#ofOne.set(actorId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (actorId !== undefined && listeners.size === 0 && this.#ofOne.get(actorId) === listeners)
        this.#ofOne.delete(actorId);
    };
  }

  tell(status: ActorStatus): void {
    for (const listener of [...this.#ofAll, ...(this.#ofOne.get(status.actorId) ?? [])]) listener(status);
    for (const queue of this.#watches) queue.push(status);
  }

  /** The statuses that are present when the iteration begins, then every change, until the signal is aborted. */
  async *watch(
    present: () => Iterable<ActorStatus>,
    signal: AbortSignal,
  ): AsyncGenerator<ActorStatus, void, undefined> {
    const queue = new AsyncQueue<ActorStatus>();
    for (const status of present()) queue.push(status);
    this.#watches.add(queue);
    try {
      yield* queue.iterate(signal);
    } finally {
      this.#watches.delete(queue);
    }
  }

  /** Ends all watches. */
  close(): void {
    for (const queue of this.#watches) queue.close();
  }
}
