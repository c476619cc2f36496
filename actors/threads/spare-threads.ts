/**
 * Threads that have loaded the runtime and wait for their actor, because loading takes longer than all else. None are
 * kept before the first is wanted; later as many as were wanted at a time, within MAX_SPARES.
 */

import { Worker } from 'node:worker_threads';
import type { ThreadKind } from './thread-protocol.ts';

/** A waiting thread holds about 24 MB. */
const MAX_SPARES = 8;
/** Threads wanted within this time of each other are one burst; new spares are made when it is over. */
const BURST_MS = 200;

export class SpareThreads {
  readonly #program: string;
  readonly #onError: (error: unknown) => void;
  #idle: Worker[] = [];
  #burst = 0;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;

  /** `program` posts a message when it is a spare that waits for its actor; `onError` hears why one failed before that or waiting. */
  constructor(program: string, onError: (error: unknown) => void) {
    this.#program = program;
    this.#onError = onError;
  }

  /** Threads that wait for their actor now. */
  get waiting(): number {
    return this.#idle.length;
  }

  /** A thread for an actor: one that waits, else a new one, without listeners. */
  take(): Worker {
    this.#burst++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refill(), BURST_MS).unref();
    const spare = this.#idle.pop();
    return spare?.removeAllListeners('error').removeAllListeners('exit') ?? this.#start({ isSpare: false });
  }

  /** Ends those that wait; no more are made. */
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

  /** Starts spares one after another, so that they take little from those who work, until the next burst begins. */
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
