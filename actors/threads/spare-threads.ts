/**
 * Threads that have loaded the runtime and wait for their actor, because loading dominates the start time. None are
 * kept before the first one is needed; afterwards as many as were needed at a time, up to MAX_SPARES.
 */

import { Worker } from 'node:worker_threads';
import type { ThreadKind } from './thread-protocol.ts';

/** A waiting thread holds about 24 MB. */
const MAX_SPARES = 8;
/** Requests within this time of each other form one burst; new spares are started after it. */
const BURST_MS = 200;

export class SpareThreads {
  readonly #program: string;
  readonly #onError: (error: unknown) => void;
  #idle: Worker[] = [];
  #burst = 0;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;

  /**
   * `program` posts a message when it is a spare that waits for its actor; `onError` receives the error of a spare that
   * failed.
   */
  constructor(program: string, onError: (error: unknown) => void) {
    this.#program = program;
    this.#onError = onError;
  }

  /** Threads that wait for their actor now. */
  get waiting(): number {
    return this.#idle.length;
  }

  /** A thread for an actor: a waiting one, otherwise a new one, without listeners. */
  take(): Worker {
    this.#burst++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refill(), BURST_MS).unref();
    const spare = this.#idle.pop();
    return spare?.removeAllListeners('error').removeAllListeners('exit') ?? this.#start({ isSpare: false });
  }

  /** Ends the waiting threads; no more are started. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all(this.#idle.splice(0).map((worker) => worker.terminate()));
  }

  #start(workerData: ThreadKind): Worker {
    return new Worker(this.#program, { workerData, stdout: false, stderr: false });
  }

  #refill(): void {
    const wanted = Math.min(this.#burst, MAX_SPARES);
    this.#burst = 0;
    this.#timer = null;
    this.#addUpTo(wanted);
  }

  /** Starts spares one after another, to leave the cores to working threads, until the next burst begins. */
  #addUpTo(wanted: number): void {
    if (this.#isClosed || this.#idle.length >= wanted || this.#timer !== null) return;
    const worker = this.#start({ isSpare: true });
    worker.on('error', this.#onError);
    worker.once('exit', () => (this.#idle = this.#idle.filter((spare) => spare !== worker)));
    worker.once('message', () => {
      this.#idle.push(worker);
      this.#addUpTo(wanted);
    });
  }
}
