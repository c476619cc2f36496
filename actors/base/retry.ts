/** Waits between attempts of one call. */

const INITIAL_MS = 50;
const MAX_MS = 2000;

/**
 * Milliseconds before attempt `attempt + 1` (attempts count from 1); `random` in [0, 1) spreads callers over the second
 * half.
 */
export function retryDelayMs(attempt: number, random: number): number {
  const fullMs = Math.min(MAX_MS, INITIAL_MS * 2 ** (attempt - 1));
  return fullMs * (0.5 + 0.5 * random);
}
