/**
 * Counts references of objects for a node. For objects put here it knows every holder, and frees objects without
 * holders. For objects of other nodes it represents its processes: it tells the origin about the first and the last of
 * them, and renews the lease in between. So an origin needs no message from processes of other machines, and forgets
 * those of a lost machine when their lease expires.
 */

import type { HoldRequest__Output } from '../../gen/ballast/runtime/v1/HoldRequest.ts';
import type { HeldReference } from '../../gen/ballast/runtime/v1/HeldReference.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';
import { objectService } from '../proto/runtime-services.ts';
import { ObjectHolds } from './object-holds.ts';

/** How long an origin trusts a node that does not renew. */
const NODE_LEASE_MS = 60_000;
/** How long the holds of an ended process remain once its next incarnation starts, which takes over its arguments. */
export const RESTART_LEASE_MS = 15_000;
const TICK_MS = 5000;
const CALL_DEADLINE_MS = 5000;

export interface NodeHoldsOptions {
  /** host:port of this node. */
  readonly address: string;
  readonly transport: Transport;
  readonly nowMs: () => number;
  /** Whether an object here lives as long as somebody holds it. */
  readonly isCounted: (id: string) => boolean;
  /** Called with objects that nobody holds any more. */
  readonly onUnheld: (ids: readonly string[]) => void;
}

type Hold = Pick<HoldRequest__Output, 'holder' | 'leaseMs'> & {
  readonly held: readonly Required<HeldReference>[];
  readonly released: readonly Required<HeldReference>[];
};

export class NodeHolds {
  readonly #options: NodeHoldsOptions;
  readonly #own = new ObjectHolds();
  readonly #foreign = new ObjectHolds();
  readonly #origins = new Map<string, string>(); // object of another node → host:port of that node
  readonly #sending = new Map<string, Promise<void>>(); // origin → the report in progress
  readonly #timer: NodeJS.Timeout;
  #renewedMs = 0;

  constructor(options: NodeHoldsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Records the first holder of an object that was put here. */
  begin(id: string, holder: string): void {
    this.#own.add(id, holder);
  }

  /** Forgets an object that is gone from here. */
  forget(id: string): void {
    this.#own.forget(id);
  }

  holders(id: string): string[] {
    return this.#own.holders(id);
  }

  /**
   * Records what a process, another node or an answer in flight holds and no longer holds. Resolves when the objects'
   * origins know. A lease of 0 ms does not expire.
   */
  async note({ holder, leaseMs, held, released }: Hold): Promise<void> {
    const { address, nowMs } = this.#options;
    const untilMs = leaseMs > 0 ? nowMs() + leaseMs : Infinity;
    const told = new Set<string>();
    for (const reference of held) {
      if (reference.origin === address) this.#holdHere(reference, holder, untilMs);
      else {
        this.#holdThere(reference, holder, leaseMs);
        told.add(reference.origin);
      }
    }
    for (const { id, origin } of released) {
      if (origin === address) this.#unheldHere(this.#own.remove(id, holder) ? [id] : []);
      else this.#unheldThere(this.#foreign.remove(id, holder) ? [id] : []);
    }
    for (const origin of told) await this.#sending.get(origin);
  }

  /** Records that a holder on this node has ended: a process, or an object whose value has references. */
  ended(holder: string): void {
    this.#unheldHere(this.#own.end(holder));
    this.#unheldThere(this.#foreign.end(holder));
  }

  /** Records that a process has ended and starts again after a delay: it then has some time to take over its arguments. */
  restarting(holder: string, delayMs: number): void {
    const untilMs = this.#options.nowMs() + delayMs + RESTART_LEASE_MS;
    this.#own.limit(holder, untilMs);
    this.#foreign.limit(holder, untilMs);
  }

  /** Drops expired holds, and renews those that this node has elsewhere. Never throws. */
  async tick(): Promise<void> {
    this.#expire();
    if (this.#options.nowMs() - this.#renewedMs < NODE_LEASE_MS / 3) return;
    this.#renewedMs = this.#options.nowMs();
    const ids = this.#foreign.ids();
    const telling = [...new Set(this.#origins.values())].map((origin) => {
      const held = ids.filter((id) => this.#origins.get(id) === origin);
      return this.#tell(origin, { ...this.#self(), held: held.map((id) => ({ id, origin, transit: '' })) });
    });
    await Promise.all(telling);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #holdHere({ id, transit }: Required<HeldReference>, holder: string, untilMs: number): void {
    if (!this.#options.isCounted(id)) return;
    this.#own.add(id, holder, untilMs);
    if (transit !== '') this.#own.remove(id, transit);
  }

  #holdThere(reference: Required<HeldReference>, holder: string, leaseMs: number): void {
    const { id, origin, transit } = reference;
    const held = [reference];
    if (leaseMs > 0) return void this.#tell(origin, { holder, leaseMs, held, released: [] }); // an answer in flight
    const isFirst = !this.#foreign.has(id);
    this.#foreign.add(id, holder);
    this.#origins.set(id, origin);
    if (isFirst || transit !== '') void this.#tell(origin, { ...this.#self(), held });
  }

  #expire(): void {
    const nowMs = this.#options.nowMs();
    this.#unheldHere(this.#own.expire(nowMs));
    this.#unheldThere(this.#foreign.expire(nowMs));
  }

  #unheldHere(ids: readonly string[]): void {
    if (ids.length > 0) this.#options.onUnheld(ids);
  }

  #unheldThere(ids: readonly string[]): void {
    for (const id of ids) {
      const origin = this.#origins.get(id)!;
      this.#origins.delete(id);
      void this.#tell(origin, { ...this.#self(), released: [{ id, origin, transit: '' }] });
    }
  }

  /** This node's name as a holder at other nodes. */
  #self(): Hold {
    return { holder: this.#options.address, leaseMs: NODE_LEASE_MS, held: [], released: [] };
  }

  /**
   * Sends one message after another to each origin. An unreachable origin has lost the objects, or receives the
   * renewal.
   */
  #tell(origin: string, hold: Hold): Promise<void> {
    const { transport } = this.#options;
    const request = { ...hold, held: [...hold.held], released: [...hold.released] };
    const send = async () => {
      await serviceCalls(objectService, transport, origin).hold(request, { deadlineMs: CALL_DEADLINE_MS });
    };
    const sending = (this.#sending.get(origin) ?? Promise.resolve()).then(send).catch(() => undefined);
    this.#sending.set(origin, sending);
    void sending.then(() => {
      if (this.#sending.get(origin) === sending) this.#sending.delete(origin);
    });
    return sending;
  }
}
