/**
 * Pure decisions of a pool: which member takes a call, when the pool grows or shrinks, and when a slow call is tried
 * twice.
 */

export interface MemberLoad {
  readonly actorId: string;
  /** Calls given to it and not yet answered. */
  readonly inFlight: number;
  /** Whether it can take calls: not stopped, not dead. */
  readonly isUsable: boolean;
  /** Whether its process failed, and starts again some time. */
  readonly isRestarting: boolean;
  /** When its last call ended, milliseconds. */
  readonly lastUsedMs: number;
}

export interface PoolLimits {
  readonly min: number;
  readonly max: number;
  /** Calls that one member may hold. */
  readonly creditsPerMember: number;
  /** How long a member above `min` may be idle. */
  readonly idleMs: number;
}

/** The usable member with the fewest calls that has a credit left, not among `except`; null for none. Ties: the first. */
export function leastLoaded(
  members: readonly MemberLoad[],
  { creditsPerMember }: PoolLimits,
  except: ReadonlySet<string> = new Set(),
): string | null {
  let best: MemberLoad | null = null;
  for (const member of members) {
    if (!member.isUsable || member.inFlight >= creditsPerMember || except.has(member.actorId)) continue;
    if (best === null || member.inFlight < best.inFlight) best = member;
  }
  return best?.actorId ?? null;
}

/**
 * Number of members to add: up to `min` always, and one for every `credits` waiting calls for which members, also those
 * that are still starting, have no room; up to `max`.
 */
export function membersToAdd(members: readonly MemberLoad[], waiting: number, limits: PoolLimits): number {
  const { min, max, creditsPerMember } = limits;
  const usable = members.filter(({ isUsable }) => isUsable);
  const room = usable
    .filter(({ isRestarting }) => !isRestarting)
    .reduce((sum, { inFlight }) => sum + creditsPerMember - inFlight, 0);
  const missing = Math.ceil(Math.max(0, waiting - room) / creditsPerMember);
  return Math.max(0, Math.min(max, Math.max(min, usable.length + missing)) - usable.length);
}

/** Members above `min` that have been idle for `idleMs`, longest first. */
export function membersToEnd(members: readonly MemberLoad[], nowMs: number, limits: PoolLimits): string[] {
  const usable = members.filter(({ isUsable }) => isUsable);
  const idle = usable
    .filter(({ inFlight, lastUsedMs }) => inFlight === 0 && nowMs - lastUsedMs >= limits.idleMs)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  return idle.slice(0, Math.max(0, usable.length - limits.min)).map(({ actorId }) => actorId);
}

/** Remembered durations of a method's calls. */
export const REMEMBERED_CALLS = 32;
const ENOUGH_CALLS = 8;

/**
 * How long a call may take before it counts as a straggler: `factor` times the median of the latest calls; Infinity
 * while there are fewer than eight.
 */
export function stragglerMs(latestMs: readonly number[], factor: number): number {
  if (latestMs.length < ENOUGH_CALLS) return Infinity;
  const sorted = [...latestMs].sort((a, b) => a - b);
  return factor * sorted[Math.floor(sorted.length / 2)]!;
}
