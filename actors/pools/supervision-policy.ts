/** Decides what a supervision group does when a child fails: pure decisions, as Erlang's supervisors make them. */

/**
 * Which children restart when one fails: only that one; that one and those started after it, which may depend on it; or
 * all, because none can continue without the others.
 */
export type SupervisionStrategy = (typeof SUPERVISION_STRATEGIES)[number];
export const SUPERVISION_STRATEGIES = ['one-for-one', 'rest-for-one', 'one-for-all'] as const;

export function isSupervisionStrategy(value: unknown): value is SupervisionStrategy {
  return (SUPERVISION_STRATEGIES as readonly unknown[]).includes(value);
}

/** Indices of the children, in order of start, to restart in addition to the failed one (which restarts by itself). */
export function alsoRestarted(strategy: SupervisionStrategy, failed: number, count: number): number[] {
  const all = Array.from({ length: count }, (_, index) => index);
  switch (strategy) {
    case 'one-for-one':
      return [];
    case 'rest-for-one':
      return all.filter((index) => index > failed);
    case 'one-for-all':
      return all.filter((index) => index !== failed);
    default:
      return strategy satisfies never;
  }
}

/** Whether one more failure at `nowMs`, after those at `earlierMs`, is too many within the window. */
export function isTooIntense(
  earlierMs: readonly number[],
  nowMs: number,
  limits: { readonly maxRestarts: number; readonly windowMs: number },
): boolean {
  return earlierMs.filter((timeMs) => nowMs - timeMs < limits.windowMs).length >= limits.maxRestarts;
}
