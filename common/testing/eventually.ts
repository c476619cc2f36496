/** Waits for a condition in tests, however long a busy machine takes. */
import { vi } from 'vitest';

/** Longer than the slowest machine needs. A test that takes this long fails anyway, with the last failed condition. */
const PATIENCE_MS = 180_000;
const POLL_MS = 25;

/** Calls `check` until it passes, and returns its value. @throws its last error if it did not pass in time: three minutes by default */
export function eventually<Value>(
  check: () => Value | Promise<Value>,
  { patienceMs = PATIENCE_MS, everyMs = POLL_MS } = {},
): Promise<Value> {
  return vi.waitFor(check, { timeout: patienceMs, interval: everyMs });
}
