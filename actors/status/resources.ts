/**
 * A node's resources and their holders: pure accounting. Nothing is measured; an actor that uses more than it requested
 * is not stopped. Graphics cards are assigned by number, whole or in fractions of one card.
 */

import type { Resources } from './status.ts';

export interface Ledger {
  readonly total: Resources;
  /** Amounts of each holder. */
  readonly held: ReadonlyMap<string, Holding>;
}

export interface Holding {
  readonly resources: Resources;
  /** Its cards: whole ones, or part of one. */
  readonly gpuIds: readonly number[];
}

/** Sums of fractions need a small tolerance. */
const EPSILON = 1e-9;

/** The amount of a resource, whatever its name: `constructor` is a name like any other. */
export function amountOf(resources: Resources, name: string): number {
  return Object.hasOwn(resources, name) ? resources[name]! : 0;
}

export function createLedger(total: Resources): Ledger {
  return { total, held: new Map() };
}

/** The amounts that nobody holds. */
export function freeResources({ total, held }: Ledger): Resources {
  const free: Record<string, number> = { ...total };
  for (const { resources } of held.values()) {
    for (const [name, amount] of Object.entries(resources)) free[name] = amountOf(free, name) - amount;
  }
  for (const [name, amount] of Object.entries(free)) if (Math.abs(amount) < EPSILON) free[name] = 0;
  return free;
}

/**
 * Each resource of which `have` is less than `ask`, for people: `gpu (asks for 2, 1 of 4 free)`. Empty when it fits.
 */
export function shortfalls(ask: Resources, have: Resources, total: Resources = have): string[] {
  return Object.entries(ask)
    .filter(([name, amount]) => amount > amountOf(have, name) + EPSILON)
    .map(([name, amount]) => {
      const has =
        have === total
          ? `has ${amountOf(total, name)}`
          : `${amountOf(have, name)} of ${amountOf(total, name)} free`;
      return `${name} (asks for ${amount}, ${has})`;
    });
}

/** `free` minus the taken amounts. */
export function minus(free: Resources, taken: Resources): Resources {
  const left: Record<string, number> = { ...free };
  for (const [name, amount] of Object.entries(taken)) left[name] = amountOf(left, name) - amount;
  return left;
}

/** The ledger after `holder` has taken what it asks for; null when that is not free. */
export function acquire(ledger: Ledger, holder: string, resources: Resources): Ledger | null {
  if (shortfalls(resources, freeResources(ledger)).length > 0) return null;
  const gpuIds = chooseGpus(ledger, resources.gpu ?? 0);
  if (gpuIds === null) return null;
  return { ...ledger, held: new Map([...ledger.held, [holder, { resources, gpuIds }]]) };
}

/** The ledger without `holder`. */
export function release(ledger: Ledger, holder: string): Ledger {
  const held = new Map(ledger.held);
  held.delete(holder);
  return { ...ledger, held };
}

/** Whole cards that nobody uses; for part of one, the fullest card with room. Null when there are none. */
function chooseGpus({ total, held }: Ledger, amount: number): number[] | null {
  if (amount === 0) return [];
  const used = new Array<number>(Math.ceil(total.gpu ?? 0)).fill(0);
  for (const { resources, gpuIds } of held.values()) {
    for (const id of gpuIds) used[id] = (used[id] ?? 0) + Math.min(1, resources.gpu ?? 0);
  }
  const cards = used.map((share, id) => ({ share, id }));
  if (amount < 1) {
    const withRoom = cards.filter(({ share }) => share + amount <= 1 + EPSILON);
    const [best] = withRoom.sort((a, b) => b.share - a.share || a.id - b.id);
    return best === undefined ? null : [best.id];
  }
  const free = cards.filter(({ share }) => share < EPSILON).slice(0, Math.ceil(amount - EPSILON));
  return free.length < amount ? null : free.map(({ id }) => id);
}
