/**
 * One stream of frames to another process, dialled or accepted. It batches the items of one event-loop turn into one
 * frame, and holds frames back while the stream is congested.
 */

import type { Frame, Hello, Reply, Request } from './frames.ts';
import type { Faults } from './faults.ts';

/** The common interface of a gRPC stream on either side. */
export interface FrameDuplex {
  write(frame: Frame): boolean;
  end(): void;
  /** Cancels the stream, on the side that opened it. */
  cancel?(): void;
  emit(event: 'error', error: Error): boolean;
  on(event: 'data', listener: (frame: Frame) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'drain' | 'end' | 'close', listener: () => void): unknown;
}

/** Receives what the other process sends. */
export interface ChannelListener {
  /** Calls of ours below this id are answered; read for each frame. */
  readonly answeredBelow: number;
  onHello(hello: Hello): void;
  /** A frame of a caller. */
  onRequests(frame: Frame): void;
  onReply(reply: Reply): void;
  /** Called once, when nothing more can arrive. */
  onClose(error: Error | null): void;
}

/** A frame is closed near this size, well below gRPC's receive limit. */
const FRAME_BYTES = 1024 * 1024;

/**
 * Largest request or response message; gRPC receives 4 MiB, and a frame carries more than the message. Send bulk data
 * as objects.
 */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024 - 64 * 1024;

export class Channel {
  readonly #duplex: FrameDuplex;
  readonly #listener: ChannelListener;
  readonly #faults: Faults | null;
  #hello: Hello | null;
  #requests: Request[] = [];
  #replies: Reply[] = [];
  #isScheduled = false;
  #isCongested = false;
  #isClosed = false;
  /** Whether the other side has sent anything. */
  #isEstablished = false;
  /** The session of the calls that this side sends, and the number of the connection; set before the first one. */
  caller: { readonly id: string; readonly connection: number } | null = null;

  constructor(duplex: FrameDuplex, hello: Hello, listener: ChannelListener, faults: Faults | null = null) {
    this.#duplex = duplex;
    this.#hello = hello;
    this.#listener = listener;
    this.#faults = faults;
    duplex.on('data', (frame) => this.#receive(frame));
    duplex.on('drain', () => this.#onRoom());
    duplex.on('error', (error) => this.#close(error));
    duplex.on('end', () => this.#close(null));
    duplex.on('close', () => this.#close(null));
    this.#schedule();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  request(request: Request): void {
    if (this.#isClosed) return;
    this.#requests.push(request);
    this.#schedule();
  }

  reply(reply: Reply): void {
    if (this.#isClosed) return;
    this.#replies.push(reply);
    this.#schedule();
  }

  /** Sends what is queued and ends the stream. */
  close(): void {
    if (this.#isClosed) return;
    this.#isCongested = false;
    this.#flush();
    this.#duplex.end();
    this.#close(null);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (!this.#isCongested && !this.#isClosed) {
      if (this.#hello === null && this.#requests.length === 0 && this.#replies.length === 0) return;
      const requests = takeWithin(this.#requests, FRAME_BYTES);
      const replies = takeWithin(this.#replies, FRAME_BYTES - sum(requests));
      const { id: callerId, connection } = this.caller ?? NOBODY;
      const answeredBelow = this.caller === null ? 0 : this.#listener.answeredBelow;
      const hello = this.#hello;
      this.#hello = null;
      this.#isCongested = !this.#write({ hello, requests, replies, answeredBelow, callerId, connection });
    }
  }

  /** False when there is no room for another frame yet. */
  #write(frame: Frame): boolean {
    const fault = this.#isEstablished ? this.#faults?.next() : undefined;
    if (fault?.kind === 'break') {
      if (this.#duplex.cancel) this.#duplex.cancel();
      else this.#duplex.emit('error', new Error('broken on purpose'));
      this.#close(new Error('broken on purpose'));
      return false;
    }
    if (fault?.kind === 'delay') {
      setTimeout(() => {
        if (!this.#isClosed && this.#duplex.write(frame)) this.#onRoom();
      }, fault.delayMs);
      return false;
    }
    return this.#duplex.write(frame);
  }

  #onRoom(): void {
    this.#isCongested = false;
    this.#flush();
  }

  #receive(frame: Frame): void {
    if (this.#isClosed) return;
    this.#isEstablished = true;
    if (frame.hello) this.#listener.onHello(frame.hello);
    if (frame.callerId !== '') this.#listener.onRequests(frame);
    for (const reply of frame.replies) this.#listener.onReply(reply);
  }

  #close(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.onClose(error);
  }
}

const NOBODY = { id: '', connection: 0 };

function sizeOf(item: Request | Reply): number {
  const bytes = 'call' in item ? item.call?.request : 'message' in item ? item.message : undefined;
  return bytes?.byteLength ?? 0;
}

function sum(items: readonly (Request | Reply)[]): number {
  return items.reduce((bytes, item) => bytes + sizeOf(item), 0);
}

/** Takes items from the front while they fit; the first one in any case if the frame is empty. */
function takeWithin<Item extends Request | Reply>(items: Item[], roomBytes: number): Item[] {
  let count = 0;
  let bytes = 0;
  while (count < items.length) {
    bytes += sizeOf(items[count]!);
    if (bytes > roomBytes && !(count === 0 && roomBytes === FRAME_BYTES)) break;
    count++;
  }
  return count === items.length ? items.splice(0) : items.splice(0, count);
}
