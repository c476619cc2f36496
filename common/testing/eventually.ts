/** Waiting for what comes when it comes: on a busy machine that is later. */
import { vi } from 'vitest';

/** Above what the slowest machine needs. A test that lasts so long fails anyway, and tells what it waited for. */
const PATIENCE_MS = 60_000;
const POLL_MS = 25;

/** Calls `check` until it passes, and gives its value. @throws its last error, when it did not for a minute */
export function eventually<Value>(check: () => Value | Promise<Value>): Promise<Value> {
  return vi.waitFor(check, { timeout: PATIENCE_MS, interval: POLL_MS });
}
