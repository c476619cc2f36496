/**
 * Objects between nodes. The receiver pulls chunks as gRPC client, writes them to its file and verifies the whole. A
 * broken connection loses nothing that has arrived: the next attempt, with the same source or another, resumes where
 * the last one ended. While it receives, a node relays what it has.
 *
 * Chunks carry no separate checksum: TCP has one, and SHA-256 over the whole decides. If the reference does not contain
 * it, the origin supplies it, and computes it while the chunks travel.
 */

import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { CHUNK_BYTES, chunkBuffers } from '../proto/chunk-buffers.ts';
import { ObjectError, type ObjectRef, wrongDigest } from './object-ref.ts';
import { readAt, writeAt } from './shared-memory.ts';

/** Consecutive attempts without a single byte after which a source counts as failed. */
const MAX_EMPTY_ATTEMPTS = 2;
const RETRY_DELAY_MS = 50;

/** Arriving bytes, for processes that relay them. */
export class Progress {
  #bytes = 0;
  #failure: Error | null = null;
  #waiting: (() => void)[] = [];

  get bytes(): number {
    return this.#bytes;
  }

  advance(bytes: number): void {
    this.#bytes = bytes;
    this.#wake();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  /** Resolves to the number of available bytes once it exceeds `offset`. @throws Error when no more will arrive. */
  async beyond(offset: number): Promise<number> {
    while (this.#bytes <= offset) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#bytes;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Where to pull from. */
export interface Sources {
  /** Next node to ask. @throws CallError when none is left. */
  next(failed: ReadonlySet<string>): Promise<string>;
  pull(source: string, offset: number): AsyncIterable<{ readonly chunk: Uint8Array }>;
  /** Expected SHA-256 of the whole. @throws CallError */
  digest(): Promise<string>;
}

export interface Receipt {
  readonly ref: ObjectRef;
  /** File to write; may exist. */
  readonly path: string;
  readonly progress: Progress;
  readonly sources: Sources;
  readonly signal: AbortSignal;
  /** Called when an attempt failed. */
  onFailure(error: CallError): void;
}

/** The result of a transfer. */
export interface Received {
  /** Verified SHA-256 of the bytes. */
  readonly digest: string;
  /** Time spent on hashing, milliseconds. */
  readonly hashMs: number;
}

/**
 * Receives an object whole into its file.
 * @throws ObjectError naming each source that failed; DATA_LOSS when the bytes do not match the ref; the signal's
 * reason.
 */
export async function receive(receipt: Receipt): Promise<Received> {
  const { path, ref } = receipt;
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    await file.truncate(ref.sizeBytes);
    const writer = new ChunkWriter(file, receipt);
    await receiveChunks(writer, receipt);
    const digest = ref.digest || (await receipt.sources.digest());
    writer.verify(digest);
    return { digest, hashMs: writer.hashMs };
  } finally {
    await file.close();
  }
}

async function receiveChunks(writer: ChunkWriter, receipt: Receipt): Promise<void> {
  const { sources, ref, signal } = receipt;
  const failures = new Map<string, CallError>();
  const emptyAttempts = new Map<string, number>();
  while (writer.offset < ref.sizeBytes) {
    const source = await sources.next(new Set(failures.keys())).catch((thrown: unknown) => {
      throw allFailed(ref.id, failures, thrown);
    });
    const before = writer.offset;
    try {
      for await (const { chunk } of sources.pull(source, before)) await writer.write(chunk);
      await writer.flush();
      if (writer.offset < ref.sizeBytes) {
        const sizes = `ended after ${writer.offset} of ${ref.sizeBytes} bytes`;
        throw new ObjectError('DATA_LOSS', ref.id, sizes);
      }
    } catch (thrown) {
      await writer.flush();
      signal.throwIfAborted();
      if (!(thrown instanceof CallError)) throw thrown;
      receipt.onFailure(thrown);
      const empty = writer.offset > before ? 0 : (emptyAttempts.get(source) ?? 0) + 1;
      emptyAttempts.set(source, empty);
      if (thrown.code !== 'UNAVAILABLE' || empty >= MAX_EMPTY_ATTEMPTS) failures.set(source, thrown);
      else await delay(RETRY_DELAY_MS, undefined, { signal });
    }
  }
}

function allFailed(id: string, failures: ReadonlyMap<string, CallError>, last: unknown): Error {
  if (failures.size === 0) return toError(last);
  const codes = [...failures.values()].map(({ code }) => code);
  const code = codes.includes('DATA_LOSS') ? 'DATA_LOSS' : codes.at(-1)!;
  const tried = [...failures].map(([source, { message }]) => `${source}: ${message}`).join('; ');
  return new ObjectError(code, id, `no node could send it: ${tried}`, { cause: last });
}

/** Writes one chunk while the next one arrives. */
class ChunkWriter {
  readonly #file: FileHandle;
  readonly #receipt: Receipt;
  readonly #hash: Hash = createHash('sha256');
  #pending: Promise<void> = Promise.resolve();
  #offset = 0;
  #hashMs = 0;

  constructor(file: FileHandle, receipt: Receipt) {
    this.#file = file;
    this.#receipt = receipt;
  }

  /** Bytes received. */
  get offset(): number {
    return this.#offset;
  }

  get hashMs(): number {
    return this.#hashMs;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { ref, progress } = this.#receipt;
    if (this.#offset + chunk.byteLength > ref.sizeBytes) {
      throw new ObjectError('DATA_LOSS', ref.id, `longer than its ${ref.sizeBytes} bytes`);
    }
    await this.#pending;
    const start = this.#offset;
    this.#offset += chunk.byteLength;
    this.#pending = writeAt(this.#file, chunk, start).then(() => progress.advance(start + chunk.byteLength));
    this.#pending.catch(() => undefined); // the next write or flush reports it
    const startMs = performance.now();
    this.#hash.update(chunk);
    this.#hashMs += performance.now() - startMs;
  }

  async flush(): Promise<void> {
    await this.#pending;
  }

  verify(expected: string): void {
    const actual = this.#hash.digest('hex');
    if (actual !== expected) throw wrongDigest(this.#receipt.ref.id, actual, expected);
  }
}

/** SHA-256 of the first `sizeBytes` of a file, lower-case hex. */
export async function digestOfFile(file: FileHandle, sizeBytes: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(file, 0, sizeBytes)) {
    hash.update(chunk);
    chunkBuffers.giveBack(chunk);
  }
  return hash.digest('hex');
}

/** Bytes `from` to `to` of a file as chunks; the next one is read while one is sent. */
export async function* chunksOf(
  file: FileHandle,
  from: number,
  to: number,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array, void, undefined> {
  const read = async (start: number) => {
    const chunk = chunkBuffers.take(Math.min(chunkBytes, to - start));
    await readAt(file, chunk, start);
    return chunk;
  };
  let next = from < to ? read(from) : null;
  for (let start = from; next !== null;) {
    const chunk: Uint8Array = await next;
    start += chunk.byteLength;
    next = start < to ? read(start) : null;
    next?.catch(() => undefined); // reported when it is awaited, or not needed
    yield chunk;
  }
}
