/**
 * Actors, or bundles of a placement group, that start together or not at all. Their nodes first hold room for all of
 * them, in the order of node ids: of two gangs that compete, one gets the first node, and the other holds nothing that
 * the first could wait for. A gang that does not find room for all members holds nothing.
 */

import { toError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { type Home, type StartsTogether, wholeOf } from './home.ts';
import type { Claim } from '../supervisor/node-room.ts';
import { type GroupRule, placeGang } from './placement.ts';
import type { NodeStatus } from '../status/status.ts';

/** Longer than it takes to start all members once all nodes hold their room. */
const HOLD_MS = 30_000;

export interface GangOptions {
  readonly nodes: () => readonly NodeStatus[];
  /** How they have to lie; null for anyhow. */
  readonly rule: () => GroupRule | null;
  /** Holds room on a node. @throws CallError when it has none, or cannot be reached. */
  readonly claim: (nodeId: string, claims: readonly Claim[], holdMs: number) => Promise<void>;
  readonly giveBack: (nodeId: string, actorIds: readonly string[]) => Promise<void>;
  /** Starts a member on the node that holds its room. @throws CallError */
  readonly placeOn: (home: Home, nodeId: string) => Promise<void>;
  /** Reports that a member waits. */
  readonly wait: (home: Home, reason: string) => void;
  /** Ends a member on any node. */
  readonly end: (home: Home, reason: string) => void;
}

export class Gang implements StartsTogether {
  readonly homes: readonly Home[];
  readonly #options: GangOptions;
  /** Members that have never served. */
  readonly #unborn: Set<string>;
  #state: 'waiting' | 'placing' | 'placed' | 'ended' = 'waiting';

  constructor(homes: readonly Home[], options: GangOptions) {
    this.homes = homes;
    this.#options = options;
    this.#unborn = new Set(homes.map(({ spec }) => spec.actorId));
    for (const home of homes) home.gang = this;
  }

  /** Whether its members wait for each other. */
  get isTogether(): boolean {
    return this.#state === 'waiting' || this.#state === 'placing';
  }

  /** Starts all members if there is room for all. */
  async tryPlace(): Promise<void> {
    if (this.#state !== 'waiting') return;
    this.#state = 'placing';
    const chosen = await this.#claimAll();
    if (this.#isEnded()) return this.#giveBackAll(chosen);
    if (chosen === null) {
      this.#state = 'waiting';
      return;
    }
    const placing = this.homes.map((home, i) => this.#options.placeOn(home, chosen[i]!));
    const failed = (await Promise.allSettled(placing)).find(({ status }) => status === 'rejected');
    const wasEnded = this.#isEnded();
    this.#state = 'placed';
    if (wasEnded) this.end(`its ${this.#whole} was stopped`);
    else if (failed?.status === 'rejected') {
      await this.#giveBackAll(chosen);
      this.end(`its ${this.#whole} did not start: ${toError(failed.reason).message}`);
    }
  }

  /** A member serves. */
  born(actorId: string): void {
    this.#unborn.delete(actorId);
    if (this.#unborn.size === 0) this.#dissolve();
  }

  /** A member died before all of them served, or was stopped: ends the others too. */
  end(reason: string): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#dissolve();
    for (const home of this.homes) if (home.status.state !== 'dead') this.#options.end(home, reason);
  }

  get #whole(): string {
    return wholeOf(this.homes[0]!.spec);
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  #dissolve(): void {
    for (const home of this.homes) home.gang = null;
  }

  /** The nodes of the members, each of which holds their room; null when they have to wait. */
  async #claimAll(): Promise<string[] | null> {
    const specs = this.homes.map(({ spec }) => spec);
    for (const refused = new Set<string>(); ;) {
      const nodes = this.#options.nodes().filter(({ nodeId }) => !refused.has(nodeId));
      const chosen = placeGang(specs, nodes, this.#options.rule());
      if (!Array.isArray(chosen)) {
        const because = chosen.kind === 'node' ? '' : chosen.because;
        const reason = `waits for room with its ${this.#whole}: ${because}`;
        for (const home of this.homes) this.#options.wait(home, reason);
        return null;
      }
      const refusing = await this.#claimOn(chosen);
      if (refusing === null) return chosen;
      refused.add(refusing);
    }
  }

  /** The node that refused, in which case no node holds anything; null when all of them do. */
  async #claimOn(chosen: readonly string[]): Promise<string | null> {
    const held: string[] = [];
    for (const nodeId of [...new Set(chosen)].sort()) {
      const members = this.homes.filter((_, i) => chosen[i] === nodeId);
      const claims = members.map(({ spec: { actorId, resources } }) => ({ actorId, resources }));
      held.push(nodeId); // also what a lost answer may have granted
      try {
        await this.#options.claim(nodeId, claims, HOLD_MS);
      } catch (thrown) {
        if (!(thrown instanceof CallError)) throw thrown;
        await this.#giveBackAll(chosen.map((id) => (held.includes(id) ? id : null)));
        return nodeId;
      }
    }
    return null;
  }

  /** Releases the room that `chosen` nodes hold for members, in the order of the members. */
  async #giveBackAll(chosen: readonly (string | null)[] | null): Promise<void> {
    const nodes = new Set((chosen ?? []).filter((nodeId) => nodeId !== null));
    const giving = [...nodes].map((nodeId) => {
      const ids = this.homes.filter((_, i) => chosen?.[i] === nodeId).map(({ spec }) => spec.actorId);
      return this.#options.giveBack(nodeId, ids);
    });
    await Promise.allSettled(giving); // a node that cannot be reached releases it by itself
  }
}
