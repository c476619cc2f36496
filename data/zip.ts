/**
 * Members of a ZIP archive on disk, by yauzl. The directory's sizes count as upper limits only: no member unpacks to more
 * than its entry says, and none may say what deflate cannot make. Refused: more than MAX_MEMBERS members, two of one name,
 * encrypted ones, methods other than stored and deflated, names that leave the archive. Checksums are not verified.
 */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { withBoundedFile } from '../common/bounded-file.ts';
import { MAX_ARCHIVE_BYTES, MAX_MEMBERS } from './limits.ts';
import { readPromised } from './promised-bytes.ts';

export interface Member {
  readonly name: string;
  /** Unpacked, as the directory says. */
  readonly bytes: number;
  /** @throws Error when it is damaged, or is not as large as the directory says. */
  unpack(): Promise<Buffer>;
}

const STORED = 0;
const DEFLATED = 8;
/** Deflate makes at best 258 bytes of 2 bits. */
const MAX_DEFLATE_RATIO = 1032;
const CHUNK_BYTES = 256 * 1024;

/** Calls `work` with the members of an archive. @throws Error that says what is wrong with it; UserError for its file. */
export function withMembers<T>(path: string, work: (members: readonly Member[]) => Promise<T>): Promise<T> {
  return withBoundedFile(path, MAX_ARCHIVE_BYTES, async (file, size) => {
    const options = { autoClose: false };
    const zip = await fromRandomAccessReaderPromise(new FileReader(file), size, options);
    return work(await listMembers(zip));
  });
}

async function listMembers(zip: ZipFile): Promise<Member[]> {
  if (zip.entryCount > MAX_MEMBERS)
    throw new Error(`it has ${zip.entryCount} members, above the limit of ${MAX_MEMBERS}`);
  const members = new Map<string, Member>();
  for await (const entry of zip.eachEntry()) {
    const { fileName: name, uncompressedSize: bytes } = entry;
    if (members.has(name)) throw new Error(`it has two members ${name}`);
    members.set(name, { name, bytes, unpack: () => unpack(zip, entry) });
  }
  return [...members.values()];
}

async function unpack(zip: ZipFile, entry: Entry): Promise<Buffer> {
  const { fileName: name, compressionMethod: method, compressedSize: packedBytes, uncompressedSize } = entry;
  if (entry.isEncrypted()) throw new Error(`${name} is encrypted`);
  if (method !== STORED && method !== DEFLATED)
    throw new Error(`${name} is packed by method ${method}, which is not read`);
  if (uncompressedSize > packedBytes * MAX_DEFLATE_RATIO) {
    throw new Error(
      `${name} claims to unpack from ${packedBytes} bytes to ${uncompressedSize}, which cannot be`,
    );
  }
  try {
    return await readPromised(await zip.openReadStreamPromise(entry), 0, () => uncompressedSize);
  } catch (thrown) {
    throw new Error(`${name}: ${(thrown as Error).message}`, { cause: thrown });
  }
}

/**
 * Gives yauzl a file that stays open for its owner. yauzl's own reader passes any offset that an archive names to
 * `fs.read`, which throws an uncatchable error when the offset is above 2^53.
 */
class FileReader extends RandomAccessReader {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    super();
    this.#file = file;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead: number) => void,
  ): void {
    if (!Number.isSafeInteger(position + length)) {
      setImmediate(callback, new Error('it points to where no file can reach'), 0);
      return;
    }
    this.#file.read(buffer, offset, length, position).then(
      ({ bytesRead }) => setImmediate(callback, null, bytesRead),
      (error: Error) => setImmediate(callback, error, 0),
    );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(readRange(this.#file, start, end), { objectMode: false });
  }
}

async function* readRange(file: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
    at += bytesRead;
  }
}
