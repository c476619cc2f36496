/** Remembers which actors died last, so that whoever lists the dead can forget the older ones. */

import type { ActorStatus } from './status.ts';

/** Dead actors that a node and a program remember each. */
export const KEPT_DEAD = 200;

export class LatestDead {
  readonly #ids = new Set<string>();

  /** Notes an actor's status. Returns the id of a dead actor to forget, if there are more than `KEPT_DEAD`. */
  note({ actorId, state }: Pick<ActorStatus, 'actorId' | 'state'>): string | null {
    this.#ids.delete(actorId);
    if (state !== 'dead') return null;
    this.#ids.add(actorId);
    if (this.#ids.size <= KEPT_DEAD) return null;
    const [oldest] = this.#ids;
    this.#ids.delete(oldest!);
    return oldest!;
  }
}
