/**
 * Decides which of several runs gets the next free worker: start-time fair queueing (Goyal, Vin, Cheng 1996). Each run
 * has a virtual time that grows by the worker-seconds that it receives, divided by its weight; of the runs that want a
 * worker, the one with the least virtual time is next. A run that returns after an idle period starts at the least
 * virtual time of the waiting runs: it has accumulated neither credit nor debt. No run starves, because all others
 * overtake it. Pure.
 */

export interface Claim {
  /** Share beside other runs, above 0. */
  readonly weight: number;
  /** Worker-seconds that it was given, over its weight. */
  readonly virtualTime: number;
  /** Shards that wait for a worker. */
  readonly wants: number;
}

/** By run. */
export type Claims = ReadonlyMap<string, Claim>;

/** Adds a run that wants nothing yet. */
export function enter(claims: Claims, run: string, weight: number): Claims {
  return new Map(claims).set(run, { weight, virtualTime: 0, wants: 0 });
}

export function leave(claims: Claims, run: string): Claims {
  const left = new Map(claims);
  left.delete(run);
  return left;
}

/** Sets how many shards a run wants workers for. */
export function want(claims: Claims, run: string, wants: number): Claims {
  const claim = claims.get(run)!;
  if (claim.wants === wants) return claims;
  const returns = claim.wants === 0 && wants > 0;
  const virtualTime = returns ? Math.max(claim.virtualTime, leastOf(claims)) : claim.virtualTime;
  return new Map(claims).set(run, { ...claim, wants, virtualTime });
}

/** Records that a run was given a worker for one shard of this many worker-seconds. */
export function charge(claims: Claims, run: string, seconds: number): Claims {
  const claim = claims.get(run)!;
  const virtualTime = claim.virtualTime + seconds / claim.weight;
  return new Map(claims).set(run, { ...claim, virtualTime, wants: Math.max(0, claim.wants - 1) });
}

/** The next run, the first by name among equals; null when none wants a worker. */
export function next(claims: Claims): string | null {
  let first: string | null = null;
  for (const [run, claim] of claims) {
    if (claim.wants === 0) continue;
    const best = first === null ? null : claims.get(first)!;
    const isBefore =
      best === null ||
      claim.virtualTime < best.virtualTime ||
      (claim.virtualTime === best.virtualTime && run < first!);
    if (isBefore) first = run;
  }
  return first;
}

/** The least virtual time of those that wait; where none does, the greatest of all: as far as the service is. */
function leastOf(claims: Claims): number {
  const waiting = [...claims.values()].filter(({ wants }) => wants > 0);
  if (waiting.length > 0) return Math.min(...waiting.map(({ virtualTime }) => virtualTime));
  return Math.max(0, ...[...claims.values()].map(({ virtualTime }) => virtualTime));
}
