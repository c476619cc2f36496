/** The request messages of a client-streaming call: sending them, and receiving them. */

import { withLimits } from '../base/limits.ts';

/** Maximum messages of a stream in flight, in either direction. */
export const STREAM_WINDOW = 16;

/** Numbered incoming messages, some of them repeated; delivered in order, once each. */
export class IncomingRequests implements AsyncIterable<Uint8Array> {
  readonly #grant: (allowed: number) => void;
  readonly #waiting: Uint8Array[] = [];
  #taken = 0;
  #endsAt = Infinity;
  #wake: () => void = () => undefined;

  /** `grant` receives the total number of messages that may have been sent, whenever it has grown by half a window. */
  constructor(grant: (allowed: number) => void) {
    this.#grant = grant;
  }

  /** Total number of messages that the other side may have sent. */
  get allowed(): number {
    return this.#taken + STREAM_WINDOW;
  }

  /** Ignores messages that arrived before, or were never allowed. */
  put(index: number, message: Uint8Array): void {
    if (index !== this.#taken + this.#waiting.length || index >= this.allowed) return;
    this.#waiting.push(message);
    this.#wake();
  }

  /** Only the first `count` messages will arrive. */
  endAt(count: number): void {
    this.#endsAt = count;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#taken < this.#endsAt) {
      const message = this.#waiting.shift();
      if (message === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#taken++;
      if (this.#taken % (STREAM_WINDOW / 2) === 0) this.#grant(this.allowed);
      yield message;
    }
  }
}

/** Numbered outgoing messages, kept until the other side has consumed them. */
export class OutgoingRequests {
  readonly #send: (index: number, message: Uint8Array | null) => void;
  readonly #kept = new Map<number, Uint8Array>();
  #count = 0;
  #allowed = STREAM_WINDOW;
  #isEnded = false;
  #isOver = false;
  #wake: () => void = () => undefined;

  /** `send` sends a message; null says that there are only `index` of them. */
  constructor(send: (index: number, message: Uint8Array | null) => void) {
    this.#send = send;
  }

  /** A promise when the other side cannot take more yet. */
  put(message: Uint8Array): Promise<void> | null {
    if (this.#isOver) return null;
    const index = this.#count++;
    this.#kept.set(index, message);
    this.#send(index, message);
    return this.#count < this.#allowed ? null : new Promise((resolve) => (this.#wake = resolve));
  }

  end(): void {
    if (this.#isOver) return;
    this.#isEnded = true;
    this.#send(this.#count, null);
  }

  /** The other side accepts up to `allowed` messages in total, and has consumed all but the last window of them. */
  allow(allowed: number): void {
    if (allowed <= this.#allowed) return;
    this.#allowed = allowed;
    for (const index of this.#kept.keys()) if (index < allowed - STREAM_WINDOW) this.#kept.delete(index);
    this.#wake();
  }

  /** Sends again every message that the other side may lack. */
  repeat(): void {
    for (const [index, message] of this.#kept) this.#send(index, message);
    if (this.#isEnded) this.#send(this.#count, null);
  }

  /** The call has ended: sends nothing more, and releases waiting writers. */
  close(): void {
    this.#isOver = true;
    this.#kept.clear();
    this.#wake();
  }
}

/** Destination of the request messages of a started call. */
export interface RequestSink<Message = Uint8Array> {
  /** A promise when the other side cannot take more yet. @throws CallError for a message that is too large. */
  send(message: Message): Promise<void> | null;
  endRequests(): void;
}

/**
 * Sends all of `requests` as flow control allows, then their end. Stops early when `isOver`. @throws what the iteration
 * throws
 */
export async function sendAll<Message>(
  requests: AsyncIterable<Message> | Iterable<Message>,
  sink: RequestSink<Message>,
  isOver: () => boolean,
): Promise<void> {
  for await (const message of requests) {
    if (isOver()) return;
    const room = sink.send(message);
    if (room !== null) await room;
    if (isOver()) return;
  }
  sink.endRequests();
}

/** The same messages; throws the signal's reason as soon as it is aborted. */
export async function* untilAborted<Message>(
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncGenerator<Message, void, undefined> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await withLimits(iterator.next(), { deadlineMs: Infinity, signal }, 'the next request');
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    void iterator.return?.();
  }
}
