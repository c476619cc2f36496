/**
 * The contents of a node's store, their owners and readers, and the choice of what to evict when room is short. Plain
 * values, no I/O:
 * node-objects.ts carries out its decisions.
 *
 * Memory holds objects and reservations (objects being written or received). Objects put here are primary and may only
 * move to disk; copies pulled from elsewhere are secondary and may be dropped.
 */

import { ObjectError, type ObjectRef } from './object-ref.ts';

export type ObjectKind = 'primary' | 'secondary';

/** Owner of objects that outlive every process of the node. */
export const NODE_OWNER = 'node';

/** Owner of objects that live as long as somebody holds a reference to them. */
export const REFERENCES_OWNER = 'references';

/** Ended owners that are remembered: late requests of their processes are refused. */
const KEPT_OWNERS = 10_000;

export interface HeldObject {
  readonly ref: Pick<ObjectRef, 'id' | 'digest' | 'sizeBytes'>;
  readonly kind: ObjectKind;
  owner: string;
  place: 'memory' | 'spill';
  lastUsedMs: number;
}

export interface Reservation {
  readonly id: string;
  readonly sizeBytes: number;
  readonly owner: string;
  /** File to which its bytes are written. */
  readonly path: string;
}

/** Objects that must leave so that bytes fit; `missingBytes` is what remains short even then. */
export interface RoomPlan {
  readonly evict: readonly HeldObject[];
  readonly spill: readonly HeldObject[];
  readonly missingBytes: number;
}

export type ObjectUse = Readonly<
  Record<ObjectKind | 'spilled' | 'reserved', { bytes: number; count: number }>
>;

export class ObjectDirectory {
  readonly capacityBytes: number;
  readonly #held = new Map<string, HeldObject>();
  readonly #reserved = new Map<string, Reservation>();
  readonly #pins = new Map<string, Map<string, number>>(); // object → borrower → count
  readonly #ended = new Set<string>();
  #memoryBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  /** Bytes of objects and reservations in memory. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get(id: string): HeldObject | undefined {
    return this.#held.get(id);
  }

  reservation(id: string): Reservation | undefined {
    return this.#reserved.get(id);
  }

  all(): Iterable<HeldObject> {
    return this.#held.values();
  }

  /** Records that an owner's process starts; an earlier one of the same name is forgotten. */
  ownerBegan(owner: string): void {
    this.#ended.delete(owner);
  }

  /** Forgets an owner's pins; `ownedBy` lists its objects. From now on it can own nothing. */
  ownerEnded(owner: string): void {
    this.#ended.add(owner);
    if (this.#ended.size > KEPT_OWNERS) this.#ended.delete(this.#ended.values().next().value!);
    for (const [id, borrowers] of this.#pins) {
      borrowers.delete(owner);
      if (borrowers.size === 0) this.#pins.delete(id);
    }
  }

  hasEnded(owner: string): boolean {
    return this.#ended.has(owner);
  }

  /** Ids of objects and reservations of an owner. */
  ownedBy(owner: string): string[] {
    const all = [...this.#reserved.values(), ...[...this.#held].map(([id, held]) => ({ id, ...held }))];
    return all.filter((item) => item.owner === owner).map(({ id }) => id);
  }

  /** Reserves bytes before they exist. @throws ObjectError when the id is in use or its owner has ended. */
  reserve(reservation: Reservation): void {
    const { id, owner, sizeBytes } = reservation;
    this.#checkOwner(id, owner);
    if (this.#held.has(id) || this.#reserved.has(id))
      throw new ObjectError('ALREADY_EXISTS', id, 'its id is in use');
    this.#reserved.set(id, reservation);
    this.#memoryBytes += sizeBytes;
  }

  /** Turns a reservation into an object. @throws ObjectError when there is none, or its owner has ended. */
  seal(ref: HeldObject['ref'], kind: ObjectKind, owner: string, nowMs: number): void {
    this.#checkOwner(ref.id, owner);
    const reservation = this.#reserved.get(ref.id);
    if (reservation === undefined)
      throw new ObjectError('FAILED_PRECONDITION', ref.id, 'nothing was reserved for it');
    if (reservation.sizeBytes !== ref.sizeBytes) {
      const sizes = `${ref.sizeBytes} bytes, but ${reservation.sizeBytes} were reserved`;
      throw new ObjectError('FAILED_PRECONDITION', ref.id, sizes);
    }
    this.#reserved.delete(ref.id);
    this.#held.set(ref.id, { ref, kind, owner, place: 'memory', lastUsedMs: nowMs });
  }

  /**
   * Gives an object another owner. @throws ObjectError NOT_FOUND, or FAILED_PRECONDITION when the new owner has ended.
   */
  handOver(id: string, owner: string): void {
    const held = this.#held.get(id);
    if (held === undefined) throw new ObjectError('NOT_FOUND', id, 'it was freed');
    this.#checkOwner(id, owner);
    held.owner = owner;
  }

  /** Records that an object's bytes are now on disk only. */
  spilled(held: HeldObject): void {
    held.place = 'spill';
    this.#memoryBytes -= held.ref.sizeBytes;
  }

  /** Forgets an object or a reservation. */
  remove(id: string): void {
    const held = this.#held.get(id);
    if (held?.place === 'memory') this.#memoryBytes -= held.ref.sizeBytes;
    this.#memoryBytes -= this.#reserved.get(id)?.sizeBytes ?? 0;
    this.#held.delete(id);
    this.#reserved.delete(id);
  }

  /** Pins an object in place while somebody reads it. */
  pin(id: string, borrower: string): void {
    const borrowers = this.#pins.get(id) ?? new Map<string, number>();
    borrowers.set(borrower, (borrowers.get(borrower) ?? 0) + 1);
    this.#pins.set(id, borrowers);
  }

  unpin(id: string, borrower: string): void {
    const borrowers = this.#pins.get(id);
    const count = borrowers?.get(borrower);
    if (borrowers === undefined || count === undefined) return;
    if (count > 1) borrowers.set(borrower, count - 1);
    else borrowers.delete(borrower);
    if (borrowers.size === 0) this.#pins.delete(id);
  }

  isPinned(id: string): boolean {
    return this.#pins.has(id);
  }

  /** Number of reads in progress of an object. */
  pinCount(id: string): number {
    return [...(this.#pins.get(id)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }

  /**
   * Objects that must leave so that `sizeBytes` more fit: secondary copies first, then primaries to disk; within each
   * kind unmapped ones first, whose memory is free at once, then by oldest use.
   */
  planRoom(sizeBytes: number, isMapped: (held: HeldObject) => boolean = () => false): RoomPlan {
    let missingBytes = this.#memoryBytes + sizeBytes - this.capacityBytes;
    const movable = [...this.#held.values()]
      .filter(({ place, ref }) => place === 'memory' && ref.sizeBytes > 0 && !this.isPinned(ref.id))
      .map((held) => ({ held, later: Number(isMapped(held)) }))
      .sort((a, b) => a.later - b.later || a.held.lastUsedMs - b.held.lastUsedMs)
      .map(({ held }) => held);
    const take = (kind: ObjectKind) =>
      movable.filter((held) => {
        if (held.kind !== kind || missingBytes <= 0) return false;
        missingBytes -= held.ref.sizeBytes;
        return true;
      });
    const evict = take('secondary');
    const spill = take('primary');
    return { evict, spill, missingBytes: Math.max(0, missingBytes) };
  }

  use(): ObjectUse {
    const none = () => ({ bytes: 0, count: 0 });
    const use: ObjectUse = { primary: none(), secondary: none(), spilled: none(), reserved: none() };
    const add = (kind: keyof ObjectUse, sizeBytes: number) => {
      use[kind].bytes += sizeBytes;
      use[kind].count++;
    };
    for (const { place, kind, ref } of this.#held.values())
      add(place === 'spill' ? 'spilled' : kind, ref.sizeBytes);
    for (const { sizeBytes } of this.#reserved.values()) add('reserved', sizeBytes);
    return use;
  }

  #checkOwner(id: string, owner: string): void {
    if (this.#ended.has(owner))
      throw new ObjectError('FAILED_PRECONDITION', id, `its owner ${owner} has ended`);
  }
}
