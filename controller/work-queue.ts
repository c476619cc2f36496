/**
 * Work by key, as controllers do it: each key is processed once at a time; a key added during that is processed once
 * more; a key whose work fails is retried after increasing delays.
 */

export interface WorkQueueOptions {
  /** Keys that are processed at once. */
  readonly atOnce: number;
  readonly work: (key: string) => Promise<void>;
  /** Called at each failure; `attempt` counts from 1. */
  readonly onFailure: (key: string, thrown: unknown, attempt: number) => void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #active = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, { attempts: number; timer: NodeJS.Timeout }>();
  #isClosed = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#isClosed) return;
    this.#waiting.add(key);
    this.#begin();
  }

  /** Resolves when no work is in progress; waiting keys are dropped. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting.clear();
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
    await Promise.all(this.#active.values());
  }

  #begin(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= this.#options.atOnce) return;
      if (this.#active.has(key)) continue;
      this.#waiting.delete(key);
      this.#active.set(key, this.#workOn(key));
    }
  }

  async #workOn(key: string): Promise<void> {
    try {
      await this.#options.work(key);
      clearTimeout(this.#failures.get(key)?.timer);
      this.#failures.delete(key);
    } catch (thrown) {
      this.#retryLater(key, thrown);
    } finally {
      this.#active.delete(key);
      this.#begin();
    }
  }

  #retryLater(key: string, thrown: unknown): void {
    const former = this.#failures.get(key);
    clearTimeout(former?.timer);
    const attempts = (former?.attempts ?? 0) + 1;
    this.#options.onFailure(key, thrown, attempts);
    if (this.#isClosed) return;
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempts - 1));
    this.#failures.set(key, { attempts, timer: setTimeout(() => this.add(key), waitMs) });
  }
}
