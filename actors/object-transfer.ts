/** Objects on the wire: cut into chunks by the holder, put together and verified by the receiver. */

import { createHash } from 'node:crypto';
import { CallError } from './call-errors.ts';
import type { StatusName } from './call-errors.ts';

/** Large enough that calls cost little, small enough that several fit the receiver's window. */
export const CHUNK_BYTES = 512 * 1024;

export interface ObjectRef {
  /** Unique id of the object in its holder's store. */
  readonly id: string;
  readonly sizeBytes: number;
  /** SHA-256 of the bytes, lower-case hex. */
  readonly digest: string;
  /** host:port of processes that hold it. */
  readonly holders: string[];
}

/** An object that cannot be stored, found or trusted: RESOURCE_EXHAUSTED, NOT_FOUND, UNAVAILABLE, DATA_LOSS. */
export class ObjectError extends CallError {
  override readonly name = 'ObjectError';
  readonly objectId: string;

  constructor(code: StatusName, objectId: string, message: string, options?: ErrorOptions) {
    super(code, `Object ${objectId}: ${message}`, options);
    this.objectId = objectId;
  }
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Views of `bytes`, in order, at most `chunkBytes` long each; none for no bytes. */
export function* chunksOf(
  bytes: Uint8Array,
  chunkBytes = CHUNK_BYTES,
): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.byteLength; start += chunkBytes) {
    yield bytes.subarray(start, Math.min(start + chunkBytes, bytes.byteLength));
  }
}

/** Puts chunks together, into one allocation. @throws ObjectError DATA_LOSS when length or digest differ from the ref. */
export async function assemble(ref: ObjectRef, chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const bytes = new Uint8Array(ref.sizeBytes);
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of chunks) {
    if (length + chunk.byteLength > bytes.byteLength) {
      throw new ObjectError('DATA_LOSS', ref.id, `longer than its ${ref.sizeBytes} bytes`);
    }
    bytes.set(chunk, length);
    hash.update(chunk);
    length += chunk.byteLength;
  }
  if (length < bytes.byteLength) {
    throw new ObjectError('DATA_LOSS', ref.id, `ended after ${length} of ${ref.sizeBytes} bytes`);
  }
  const digest = hash.digest('hex');
  if (digest !== ref.digest) {
    throw new ObjectError(
      'DATA_LOSS',
      ref.id,
      `its bytes have SHA-256 ${digest}, its reference says ${ref.digest}`,
    );
  }
  return bytes;
}
