/**
 * Reuses the buffers of outgoing chunks once they are encoded: allocating memory for each would cost about as much as
 * the copy into it. A chunk that is never encoded, because its call ended, is left to the garbage collector.
 */

import type { Method, Service } from './protos.ts';

/** Large enough that calls cost little, small enough that several fit into the receiver's window. */
export const CHUNK_BYTES = 512 * 1024;
const MAX_IDLE = 32;

export class ChunkBuffers {
  readonly #idle: Buffer[] = [];
  readonly #taken = new WeakMap<object, Buffer>(); // chunk → the buffer that it is a view of

  /** A chunk of `bytes` bytes, reused if it is at most CHUNK_BYTES; its initial content is undefined. */
  take(bytes: number): Buffer {
    if (bytes > CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const whole = this.#idle.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const chunk = whole.subarray(0, bytes);
    this.#taken.set(chunk, whole);
    return chunk;
  }

  /** Returns a chunk for reuse; its memory will be overwritten. Ignores anything else. */
  giveBack(chunk: object): void {
    const whole = this.#taken.get(chunk);
    this.#taken.delete(chunk);
    if (whole !== undefined && this.#idle.length < MAX_IDLE) this.#idle.push(whole);
  }
}

/** The buffers of this process. */
export const chunkBuffers = new ChunkBuffers();

/**
 * The service, with a streaming method whose responses' `chunk` is returned for reuse as soon as it is encoded, and
 * thereby copied.
 */
export function givingBackChunks<Client, Handlers>(
  service: Service<Client, Handlers>,
  methodName: string,
  buffers: ChunkBuffers = chunkBuffers,
): Service<Client, Handlers> {
  const method = service.methods.get(methodName);
  if (method === undefined) throw new Error(`${service.name} has no method ${methodName}`);
  const responseSerialize = (response: object): Buffer => {
    const encoded = method.responseSerialize(response);
    if ('chunk' in response && response.chunk instanceof Uint8Array) buffers.giveBack(response.chunk);
    return encoded;
  };
  const changed: Method = { ...method, responseSerialize };
  return { ...service, methods: new Map([...service.methods, [methodName, changed]]) };
}
