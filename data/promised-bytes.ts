/** Collects a stream of unpacked bytes in memory that is measured first: it never takes more than was promised. */
import { createGunzip } from 'node:zlib';

const CHUNK_BYTES = 256 * 1024;

/** A stream holds more than it promised. */
export class MoreThanPromised extends Error {
  override readonly name = 'MoreThanPromised';

  constructor(promisedBytes: number) {
    super(`it unpacks to more than the ${promisedBytes} bytes that it promises`);
  }
}

/**
 * All bytes of `stream`. Its first `headBytes` (fewer if there are no more) tell how many there are: `sizeOf` reads them,
 * or throws. @throws MoreThanPromised; the stream's own errors.
 */
export async function readPromised(
  stream: AsyncIterable<Buffer>,
  headBytes: number,
  sizeOf: (head: Buffer) => number,
): Promise<Buffer> {
  let head = Buffer.alloc(0);
  let out: Buffer | null = null;
  let at = 0;
  const take = (chunk: Buffer) => {
    out ??= Buffer.alloc(sizeOf(head));
    if (at + chunk.length > out.length) throw new MoreThanPromised(out.length);
    at += chunk.copy(out, at);
  };
  for await (const chunk of stream) {
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

/** Gunzips `packed`, whose unpacked head tells its size. @throws as `readPromised`; Error for damaged data. */
export function gunzipPromised(
  packed: Uint8Array,
  headBytes: number,
  sizeOf: (head: Buffer) => number,
): Promise<Buffer> {
  const stream = createGunzip({ chunkSize: CHUNK_BYTES });
  stream.end(packed);
  return readPromised(stream, headBytes, sizeOf);
}
