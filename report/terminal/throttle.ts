/** Redraws at most every so often, and always once more after the last change. */

export const REDRAW_MS = 100;

export interface Redraw {
  /** Something changed: draws now, or when the interval has passed. */
  request(): void;
  /** Draws at once. */
  now(): void;
  close(): void;
}

export function redrawer(draw: () => void, clock: () => number, intervalMs = REDRAW_MS): Redraw {
  let last = -Infinity;
  let timer: NodeJS.Timeout | null = null;
  const cancel = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  const now = (): void => {
    cancel();
    last = clock();
    draw();
  };
  return {
    now,
    request() {
      const wait = last + intervalMs - clock();
      if (wait <= 0) now();
      else timer ??= setTimeout(now, wait).unref();
    },
    close: cancel,
  };
}
