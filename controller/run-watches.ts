/** Follows active runs: any event of a run triggers a look at its object. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunApi } from './run-client.ts';

/** Delay before an ended stream is reopened, if its run is still active; it doubles while streams bring no event. */
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;

/** Resolves after so long, or when `signal` is aborted. */
type Pause = (pauseMs: number, signal: AbortSignal) => Promise<void>;
const sleep: Pause = (pauseMs, signal) => delay(pauseMs, undefined, { signal }).catch(() => undefined);

export class RunWatches {
  readonly #api: RunApi;
  readonly #onEvent: (object: string) => void;
  readonly #pause: Pause;
  readonly #watches = new Map<string, { readonly run: string; readonly stop: AbortController }>();

  /** `onEvent` receives the name of the object whose run has an event. */
  constructor(api: RunApi, onEvent: (object: string) => void, pause = sleep) {
    this.#api = api;
    this.#onEvent = onEvent;
    this.#pause = pause;
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

  /**
   * A broken stream is not a failure: the object is examined once, and the next stream continues after the last event.
   * While the coordinator is away, the looks at the object have pauses of their own.
   */
  async #watch(object: string, run: string, signal: AbortSignal): Promise<void> {
    let next = 1;
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        const request = { name: run, fromSequence: next };
        for await (const { sequence } of this.#api.watchRun(request, { deadlineMs: Infinity, signal })) {
          next = sequence + 1;
          pauseMs = FIRST_PAUSE_MS;
          this.#onEvent(object);
        }
      } catch {
        // The look at the object reports the problem.
      }
      if (signal.aborted) return;
      if (pauseMs === FIRST_PAUSE_MS) this.#onEvent(object);
      await this.#pause(pauseMs, signal);
      pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs);
    }
  }
}
