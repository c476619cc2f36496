/**
 * The holders of a node's resources: actors that are here, bundles and the actors in them, and temporarily actors that
 * will arrive with their gang.
 */

import { CallError } from '../base/call-errors.ts';
import { acquire, createLedger, freeResources, release, shortfalls } from '../status/resources.ts';
import type { Ledger } from '../status/resources.ts';
import type { Resources } from '../status/status.ts';

/** The needs of an expected actor. */
export interface Claim {
  readonly actorId: string;
  readonly resources: Resources;
  /** The bundle whose room it takes; none by default. */
  readonly bundle?: string | null;
}

export class NodeRoom {
  readonly #nodeId: string;
  #ledger: Ledger;
  /** Deadlines of claims whose actors have not arrived, by actor. */
  readonly #claims = new Map<string, NodeJS.Timeout>();
  /** Amounts that actors hold inside a bundle, for bundles that contain any. */
  readonly #inside = new Map<string, Ledger>();
  /** Bundles that ended before the actors in them. */
  readonly #leaving = new Set<string>();

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
   * room, FAILED_PRECONDITION when its bundle is not here.
   */
  take(claim: Claim): readonly number[] {
    const { bundle = null } = claim;
    if (bundle !== null) return this.#takeInside(bundle, claim);
    if (!this.#endClaim(claim.actorId)) this.#acquire(claim);
    return this.#ledger.held.get(claim.actorId)?.gpuIds ?? [];
  }

  /** The actor has ended. A bundle releases its room when the actors in it have ended too. */
  leave(actorId: string): void {
    const within = [...this.#inside].find(([, { held }]) => held.has(actorId));
    if (within !== undefined) this.#leaveInside(actorId, ...within);
    else if (this.#inside.has(actorId)) this.#leaving.add(actorId);
    else this.#ledger = release(this.#ledger, actorId);
  }

  #takeInside(bundle: string, { actorId, resources }: Claim): readonly number[] {
    const holding = this.#ledger.held.get(bundle);
    if (holding === undefined || this.#leaving.has(bundle))
      throw new CallError('FAILED_PRECONDITION', `node ${this.#nodeId} has no bundle ${bundle}`);
    const before = this.#inside.get(bundle) ?? createLedger(holding.resources);
    const after = acquire(before, actorId, resources);
    if (after === null) {
      const lacks = shortfalls(resources, freeResources(before), before.total).join(', ');
      throw new CallError('RESOURCE_EXHAUSTED', `bundle ${bundle} has no room: ${lacks}`);
    }
    this.#inside.set(bundle, after);
    return after.held.get(actorId)!.gpuIds.map((card) => holding.gpuIds[card]!);
  }

  #leaveInside(actorId: string, bundle: string, inside: Ledger): void {
    const left = release(inside, actorId);
    this.#inside.set(bundle, left);
    if (left.held.size > 0) return;
    this.#inside.delete(bundle);
    if (this.#leaving.delete(bundle)) this.leave(bundle);
  }

  #endClaim(actorId: string): boolean {
    clearTimeout(this.#claims.get(actorId));
    return this.#claims.delete(actorId);
  }

  #acquire({ actorId, resources }: Claim): void {
    const ledger = this.#leaving.has(actorId) ? null : acquire(this.#ledger, actorId, resources);
    if (ledger === null) {
      const lacks = shortfalls(resources, this.free, this.#ledger.total).join(', ');
      throw new CallError('RESOURCE_EXHAUSTED', `node ${this.#nodeId} has no room: ${lacks}`);
    }
    this.#ledger = ledger;
  }
}
