/** Unpacks deflate and gzip into memory that is measured first: no more is unpacked than was promised. */
import { createGunzip, createInflateRaw, type Gunzip, type InflateRaw } from 'node:zlib';

const CHUNK_BYTES = 256 * 1024;

/** The packed data holds more than it said. */
export class MoreThanPromised extends Error {
  override readonly name = 'MoreThanPromised';
  readonly promisedBytes: number;

  constructor(promisedBytes: number) {
    super(`it unpacks to more than the ${promisedBytes} bytes that it promises`);
    this.promisedBytes = promisedBytes;
  }
}

/** Raw deflate that promises `bytes`. @throws MoreThanPromised; Error for damaged data. */
export function inflateRaw(packed: Uint8Array, bytes: number): Promise<Buffer> {
  return unpack(createInflateRaw({ chunkSize: CHUNK_BYTES }), packed, 0, () => bytes);
}

/**
 * Gzip whose first `headBytes` (fewer if there are no more) tell how many bytes there are in all: `sizeOf` reads them,
 * or throws. @throws MoreThanPromised; Error for damaged data.
 */
export function gunzipPromised(
  packed: Uint8Array,
  headBytes: number,
  sizeOf: (head: Buffer) => number,
): Promise<Buffer> {
  return unpack(createGunzip({ chunkSize: CHUNK_BYTES }), packed, headBytes, sizeOf);
}

async function unpack(
  stream: Gunzip | InflateRaw,
  packed: Uint8Array,
  headBytes: number,
  sizeOf: (head: Buffer) => number,
): Promise<Buffer> {
  stream.end(packed);
  let head = Buffer.alloc(0);
  let out: Buffer | null = null;
  let at = 0;
  const take = (chunk: Buffer) => {
    out ??= Buffer.alloc(sizeOf(head));
    if (at + chunk.length > out.length) throw new MoreThanPromised(out.length);
    at += chunk.copy(out, at);
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (out !== null) {
      take(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length >= headBytes) take(head);
  }
  if (out === null) take(head);
  return out!.subarray(0, at);
}
