/**
 * Records which processes, other nodes and answers in flight hold references to which objects. A hold may have a lease,
 * after which it expires unless it is renewed. Plain values, no I/O: node-holds.ts carries out the consequences.
 */

export class ObjectHolds {
  readonly #holders = new Map<string, Map<string, number>>(); // object → holder → end of its lease, Infinity for none
  readonly #held = new Map<string, Set<string>>(); // holder → objects

  has(id: string): boolean {
    return this.#holders.has(id);
  }

  holders(id: string): string[] {
    return [...(this.#holders.get(id)?.keys() ?? [])];
  }

  ids(): string[] {
    return [...this.#holders.keys()];
  }

  /** Adds a hold, or renews it until `untilMs`. */
  add(id: string, holder: string, untilMs = Infinity): void {
    const holders = this.#holders.get(id) ?? new Map<string, number>();
    this.#holders.set(id, holders.set(holder, untilMs));
    const held = this.#held.get(holder) ?? new Set<string>();
    this.#held.set(holder, held.add(id));
  }

  /** Removes a hold. Returns whether it was the last one of the object. */
  remove(id: string, holder: string): boolean {
    const held = this.#held.get(holder);
    held?.delete(id);
    if (held?.size === 0) this.#held.delete(holder);
    const holders = this.#holders.get(id);
    if (holders?.delete(holder) !== true || holders.size > 0) return false;
    this.#holders.delete(id);
    return true;
  }

  forget(id: string): void {
    for (const holder of this.holders(id)) this.remove(id, holder);
  }

  /** Drops all holds of a holder; returns the objects that nobody holds any more. */
  end(holder: string): string[] {
    return [...(this.#held.get(holder) ?? [])].filter((id) => this.remove(id, holder));
  }

  /** Lets all holds of a holder expire at `untilMs`. */
  limit(holder: string, untilMs: number): void {
    for (const id of this.#held.get(holder) ?? []) this.#holders.get(id)!.set(holder, untilMs);
  }

  /** Drops expired holds; returns the objects that nobody holds any more. */
  expire(nowMs: number): string[] {
    return [...this.#holders].flatMap(([id, holders]) => {
      const over = [...holders].filter(([, untilMs]) => untilMs <= nowMs).map(([holder]) => holder);
      return over.map((holder) => this.remove(id, holder)).includes(true) ? [id] : [];
    });
  }
}
