/** Work that is done now and then until it is stopped. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Periodic {
  /** Resolves when the work has come to an end. */
  stop(): Promise<void>;
}

/** Does `work` at once and again `waitMs` after it has ended. It must not reject; its signal says that it should end. */
export function periodically(waitMs: number, work: (signal: AbortSignal) => Promise<void>): Periodic {
  const stopping = new AbortController();
  const { signal } = stopping;
  const live = async () => {
    while (!signal.aborted) {
      await work(signal);
      await sleep(waitMs, null, { signal }).catch(() => undefined);
    }
  };
  const living = live();
  return {
    async stop() {
      stopping.abort();
      await living;
    },
  };
}
