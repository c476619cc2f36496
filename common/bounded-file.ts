/**
 * Reads whole files from untrusted sources, up to a limit: it never uses more memory than that, and never waits for a
 * pipe, socket or device.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, toError, UserError } from './errors.ts';

/** Node reads at most 2 GiB at once. */
const PART_BYTES = 2 ** 28;

/** The bytes of a regular file. @throws UserError that names the file, and the limit if it is larger. */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  try {
    return await withBoundedFile(path, maxBytes, readAll);
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw new UserError(`${path}: cannot be read (${errorCode(thrown) ?? toError(thrown).message})`, {
      cause: thrown,
    });
  }
}

/** Its first bytes, at most `count`. @throws as `readBounded`, but system errors unchanged. */
export function readStart(path: string, count: number, maxBytes: number): Promise<Buffer> {
  return withBoundedFile(path, maxBytes, (file, size) => readAll(file, Math.min(size, count)));
}

/** Calls `work` with an open regular file. @throws UserError as `readBounded`; system errors unchanged. */
export async function withBoundedFile<T>(
  path: string,
  maxBytes: number,
  work: (file: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw new UserError(`${path}: cannot be read (EISDIR)`);
    if (!stats.isFile()) throw new UserError(`${path}: is not a file but a pipe, socket or device; refused`);
    if (stats.size > maxBytes) {
      throw new UserError(`${path}: has ${stats.size} bytes, above the limit of ${maxBytes}; refused`);
    }
    return await work(file, stats.size);
  } finally {
    await file.close();
  }
}

/** The content of the file, at most `size` bytes: growth while reading has no effect. */
async function readAll(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, Math.min(PART_BYTES, size - at), at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}
