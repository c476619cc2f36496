/** A clock that stands still until a test moves it. */

import type { Clock } from '../base/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1000;
  readonly #wallOffsetMs: number;
  readonly #timers = new Set<Timer>();

  /** `wallMs`: the wall time at the start. */
  constructor(wallMs = 1_700_000_000_000) {
    this.#wallOffsetMs = wallMs - this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Advances the time, runs due timers in order, and lets the promises that they settle run on. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs;
    await turn();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await turn();
    }
    this.#nowMs = endMs;
    await turn();
  }

  /** Simulates a stopped process: time passes, and no timer runs yet. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #next(endMs: number): Timer | undefined {
    return [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Runs every promise that is ready, and those that follow from it. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
