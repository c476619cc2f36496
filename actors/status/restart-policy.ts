/** Decides whether and when a dead actor starts again: a pure decision on plain values. */

import type { RestartPolicy } from './status.ts';

/** Exit code of an actor that a restart cannot help (a user's mistake); EX_CONFIG of sysexits.h. */
export const EXIT_USER_ERROR = 78;

export interface Death {
  /** Exit code; null when a signal ended the process or it never started. */
  readonly exitCode: number | null;
  readonly exitSignal: string | null;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly because: string };

/** `exited with code 1`, `was ended by SIGKILL`. */
export function describeDeath(death: Death): string {
  if (death.exitSignal !== null) return `was ended by ${death.exitSignal}`;
  if (death.exitCode !== null) return `exited with code ${death.exitCode}`;
  return 'could not be started';
}

/**
 * Decides on the death that happened at `nowMs`. `earlierRestartsMs` are the times of the restarts before it; those
 * older than the window do not count. The wait doubles: initialBackoffMs · 2^(restarts within the window).
 */
export function decideRestart(
  policy: RestartPolicy,
  death: Death,
  earlierRestartsMs: readonly number[],
  nowMs: number,
): RestartDecision {
  if (death.exitCode === 0) return { kind: 'dead', because: 'it ended by itself' };
  if (death.exitCode === EXIT_USER_ERROR) {
    return { kind: 'dead', because: 'it cannot work with its settings' };
  }
  const recent = earlierRestartsMs.filter((timeMs) => nowMs - timeMs < policy.windowMs).length;
  if (recent >= policy.maxRestarts) {
    return {
      kind: 'dead',
      because: `its limit of ${policy.maxRestarts} restarts in ${policy.windowMs / 1000} s is reached`,
    };
  }
  return { kind: 'restart', delayMs: Math.min(policy.maxBackoffMs, policy.initialBackoffMs * 2 ** recent) };
}
