/** Follows active runs: any event of a run triggers a look at its object. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunApi } from './run-client.ts';

/** Delay before an ended stream is reopened, if its run is still active. */
const PAUSE_MS = 2000;

export class RunWatches {
  readonly #api: RunApi;
  readonly #onEvent: (object: string) => void;
  readonly #watches = new Map<string, { readonly run: string; readonly stop: AbortController }>();

  /** `onEvent` receives the name of the object whose run has an event. */
  constructor(api: RunApi, onEvent: (object: string) => void) {
    this.#api = api;
    this.#onEvent = onEvent;
  }

  follow(object: string, run: string): void {
    const known = this.#watches.get(object);
    if (known?.run === run) return;
    known?.stop.abort();
    const stop = new AbortController();
    this.#watches.set(object, { run, stop });
    void this.#watch(object, run, stop.signal);
  }

  leave(object: string): void {
    this.#watches.get(object)?.stop.abort();
    this.#watches.delete(object);
  }

  close(): void {
    for (const object of [...this.#watches.keys()]) this.leave(object);
  }

  /** A broken stream is not a failure: the object is examined, and the next stream continues after the last event. */
  async #watch(object: string, run: string, signal: AbortSignal): Promise<void> {
    let next = 1;
    while (!signal.aborted) {
      try {
        const request = { name: run, fromSequence: next };
        for await (const { sequence } of this.#api.watchRun(request, { deadlineMs: Infinity, signal })) {
          next = sequence + 1;
          this.#onEvent(object);
        }
      } catch {
        // The look at the object reports the problem.
      }
      if (signal.aborted) return;
      this.#onEvent(object);
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
