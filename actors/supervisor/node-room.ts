/** Who holds a node's resources: actors that are here, and temporarily actors that will arrive with their gang. */

import { CallError } from '../base/call-errors.ts';
import { acquire, createLedger, freeResources, release, shortfalls } from '../status/resources.ts';
import type { Ledger } from '../status/resources.ts';
import type { Resources } from '../status/status.ts';

/** The needs of an expected actor. */
export interface Claim {
  readonly actorId: string;
  readonly resources: Resources;
}

export class NodeRoom {
  readonly #nodeId: string;
  #ledger: Ledger;
  /** Deadlines of claims whose actors have not arrived, by actor. */
  readonly #claims = new Map<string, NodeJS.Timeout>();

  constructor(nodeId: string, total: Resources) {
    this.#nodeId = nodeId;
    this.#ledger = createLedger(total);
  }

  get free(): Resources {
    return freeResources(this.#ledger);
  }

  /** Holds what actors need until they arrive, for at most `holdMs`; all of it or nothing. @throws as `take` */
  claim(claims: readonly Claim[], holdMs: number): void {
    const before = this.#ledger;
    try {
      for (const claim of claims) this.#acquire(claim);
    } catch (thrown) {
      this.#ledger = before;
      throw thrown;
    }
    for (const { actorId } of claims) {
      clearTimeout(this.#claims.get(actorId));
      this.#claims.set(actorId, setTimeout(() => this.giveBack([actorId]), holdMs).unref());
    }
  }

  /** Ends claims, except those whose actors have arrived. */
  giveBack(actorIds: readonly string[]): void {
    for (const actorId of actorIds) if (this.#endClaim(actorId)) this.leave(actorId);
  }

  /**
   * The actor has arrived. Returns its cards. @throws CallError RESOURCE_EXHAUSTED when it claimed nothing and has no
   * room.
   */
  take(claim: Claim): readonly number[] {
    if (!this.#endClaim(claim.actorId)) this.#acquire(claim);
    return this.#ledger.held.get(claim.actorId)?.gpuIds ?? [];
  }

  /** The actor has ended. */
  leave(actorId: string): void {
    this.#ledger = release(this.#ledger, actorId);
  }

  #endClaim(actorId: string): boolean {
    clearTimeout(this.#claims.get(actorId));
    return this.#claims.delete(actorId);
  }

  #acquire({ actorId, resources }: Claim): void {
    const ledger = acquire(this.#ledger, actorId, resources);
    if (ledger === null) {
      const lacks = shortfalls(resources, this.free, this.#ledger.total).join(', ');
      throw new CallError('RESOURCE_EXHAUSTED', `node ${this.#nodeId} has no room: ${lacks}`);
    }
    this.#ledger = ledger;
  }
}
