/** A queue between a producer that pushes and a consumer that iterates. */

import { onAbort } from '../../common/abort.ts';

/**
 * Yields values in the order pushed. Iteration ends when the queue is closed (after the remaining values) or the signal
 * is aborted.
 */
export class AsyncQueue<T> {
  readonly #values: T[] = [];
  #closed = false;
  #wake: () => void = () => undefined;

  push(value: T): void {
    if (this.#closed) return;
    this.#values.push(value);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *iterate(signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    const stop = onAbort(signal, () => this.#wake());
    try {
      while (signal?.aborted !== true) {
        const value = this.#values.shift();
        if (value !== undefined) yield value;
        else if (this.#closed) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      stop();
    }
  }
}
