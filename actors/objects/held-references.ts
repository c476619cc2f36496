/**
 * References that a process holds: counted as the program gains and loses them, and reported to its node when that
 * changes. The garbage collector reports lost references; because references are small, it is called explicitly once
 * they stand for many bytes.
 */

import { collectGarbage } from '../base/garbage.ts';
import type { ObjectRef } from './object-ref.ts';
import type { StoreMember } from './store-member.ts';

/** How long an answer may be in flight. */
const TRANSIT_LEASE_MS = 600_000;
/** Bytes behind newly received references that trigger a search for lost ones. */
const MAX_UNSEEN_BYTES = 256 * 1024 * 1024;

interface Counted {
  readonly origin: string;
  count: number;
}

type Told = { readonly id: string; readonly origin: string; readonly transit: string };

export class HeldReferences {
  readonly #member: StoreMember;
  readonly #counts = new Map<string, Counted>();
  readonly #told = new Map<string, string>(); // objects for which the node counts this process, with their origin
  readonly #changed = new Set<string>();
  readonly #lost = new FinalizationRegistry<string>((id) => this.#drop(id));
  #arrived: Told[] = [];
  #telling: Promise<void> | null = null;
  #unseenBytes = 0;
  #transits = 0;

  constructor(member: StoreMember) {
    this.#member = member;
  }

  /** host:port of the node that counts them. */
  get nodeAddress(): string {
    return this.#member.nodeAddress;
  }

  /** Counts `holder`, a reference of an object that this process has just put; its node counts it already. */
  adopt(holder: object, ref: ObjectRef): void {
    this.#told.set(ref.id, originOf(ref));
    this.#count(holder, ref);
  }

  /** Counts `holder`, a reference that came from elsewhere; `transit` holds the object for it until now. */
  track(holder: object, ref: ObjectRef, transit: string): void {
    this.#count(holder, ref);
    if (transit !== '') this.#arrived.push({ id: ref.id, origin: originOf(ref), transit });
    else if (this.#told.has(ref.id)) return;
    this.#changed.add(ref.id);
    this.#schedule();
  }

  /** Resolves when the nodes know everything held here; null when they already do. */
  settled(): Promise<void> | null {
    return this.#telling;
  }

  /** A hold for an answer that is about to be sent, covering the references in it. */
  newTransit(): string {
    return `transit/${this.#member.owner}/${process.pid}-${++this.#transits}`;
  }

  /** Holds objects for an answer until its receiver holds them, or for ten minutes. @throws CallError */
  async send(refs: readonly ObjectRef[], transit: string): Promise<void> {
    await this.#hold(refs, transit, TRANSIT_LEASE_MS);
  }

  /** Holds objects for as long as another object of this node, whose value refers to them, exists. @throws CallError */
  async holdFor(refs: readonly ObjectRef[], holder: string): Promise<void> {
    await this.#hold(refs, holder, 0);
  }

  async #hold(refs: readonly ObjectRef[], holder: string, leaseMs: number): Promise<void> {
    await this.settled(); // objects held for others must be held here
    const held = refs.map((ref) => ({ id: ref.id, origin: originOf(ref), transit: '' }));
    await this.#member.node.hold({ holder, leaseMs, held, released: [] }, { deadlineMs: Infinity });
  }

  #count(holder: object, ref: ObjectRef): void {
    const counted = this.#counts.get(ref.id) ?? { origin: originOf(ref), count: 0 };
    counted.count++;
    this.#counts.set(ref.id, counted);
    this.#lost.register(holder, ref.id);
    this.#unseenBytes += ref.sizeBytes;
    if (this.#unseenBytes < Math.min(MAX_UNSEEN_BYTES, this.#member.capacityBytes / 4 || Infinity)) return;
    this.#unseenBytes = 0;
    setImmediate(collectGarbage);
  }

  #drop(id: string): void {
    const counted = this.#counts.get(id)!;
    if (--counted.count > 0) return;
    this.#counts.delete(id);
    this.#changed.add(id);
    this.#schedule();
  }

  #schedule(): void {
    this.#telling ??= Promise.resolve()
      .then(() => this.#tell())
      .catch(() => undefined) // the node is gone, and its objects with it
      .finally(() => (this.#telling = null));
  }

  /** Reports the difference between the references held now and those last reported, until nothing changes. */
  async #tell(): Promise<void> {
    while (this.#changed.size > 0 || this.#arrived.length > 0) {
      const held = this.#arrived.splice(0);
      const released: Told[] = [];
      for (const { id, origin } of held) this.#told.set(id, origin);
      for (const id of this.#changed) {
        const counted = this.#counts.get(id);
        const told = this.#told.get(id);
        if (counted !== undefined && told === undefined) {
          this.#told.set(id, counted.origin);
          held.push({ id, origin: counted.origin, transit: '' });
        } else if (counted === undefined && told !== undefined) {
          this.#told.delete(id);
          released.push({ id, origin: told, transit: '' });
        }
      }
      this.#changed.clear();
      const { node, owner: holder } = this.#member;
      await node.hold({ holder, leaseMs: 0, held, released }, { deadlineMs: Infinity });
    }
  }
}

/** host:port of the node where an object was put, which counts its references. */
function originOf({ holders }: ObjectRef): string {
  return holders[0] ?? '';
}
