/**
 * The files of a node's object store. Bytes in use are in shared memory (`/dev/shm/ballast-<nodeId>/`) if that is large
 * enough, otherwise in the run folder; spilled bytes are in the run folder.
 *
 * The file of a sealed object is named after its id and digest, and never changes under that name. A file whose object
 * is gone is renamed before it is written again. So a reader may open a name, read, and then check whether the name
 * still leads to the same file: if it does, the bytes are intact. Used files are kept and written again, because the
 * system then need not find and clear memory for them; files that some process still maps are not (mapped-files.ts).
 */

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { copyFile, type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode } from '../../common/errors.ts';
import { copyInto, keptMapping } from './kept-mappings.ts';
import { canMap, isMapped, lockShared, mapFile } from './mapped-files.ts';
import { type Bytes, fileNameOf, type ObjectRef, partsOf } from './object-ref.ts';
import { markOwned } from './store-leftovers.ts';

export const SHARED_MEMORY = '/dev/shm';
const MIB = 1024 * 1024;
/** Smaller files are not worth keeping. */
const MIN_BLANK_BYTES = MIB;
const MAX_BLANKS = 16;
/** Smaller objects are read into private memory, which is cheaper than mapping. */
const MIN_MAPPED_BYTES = MIB;
/** Reading this many bytes takes no longer than handing the read to another thread. */
const QUICK_BYTES = 64 * 1024;
const readPart = promisify(read);
/** Bytes of one read or write request, so that two can run at a time and none exceeds the system's limit. */
const PART_BYTES = 64 * MIB;

type Named = Pick<ObjectRef, 'id' | 'digest'>;

export interface StorePlace {
  /** Folder in which the node's folder is created. */
  readonly root: string;
  readonly capacityBytes: number;
}

/**
 * Chooses where to keep objects, and the maximum bytes: shared memory if it has room for the wanted capacity (by
 * default 30% of the machine's memory, or what shared memory has left, but at least 512 MiB), otherwise the run's
 * folder.
 */
export function choosePlace(facts: {
  readonly sharedFreeBytes: number;
  readonly memoryBytes: number;
  readonly wantedBytes: number | undefined;
  readonly runRoot: string;
}): StorePlace {
  const { sharedFreeBytes, memoryBytes, wantedBytes, runRoot } = facts;
  const usableBytes = Math.floor(sharedFreeBytes * 0.9);
  const standardBytes = Math.floor(memoryBytes * 0.3);
  const capacityBytes = wantedBytes ?? Math.min(standardBytes, usableBytes);
  const isEnough = capacityBytes <= usableBytes && (wantedBytes !== undefined || capacityBytes >= 512 * MIB);
  return isEnough
    ? { root: SHARED_MEMORY, capacityBytes }
    : { root: runRoot, capacityBytes: wantedBytes ?? standardBytes };
}

/** Like `choosePlace`, for this machine. */
export function findPlace(runRoot: string, wantedBytes: number | undefined): StorePlace {
  const limitBytes = process.constrainedMemory() || Infinity; // a container's limit; 0 or huge when there is none
  const memoryBytes = Math.min(totalmem(), limitBytes);
  return choosePlace({ sharedFreeBytes: sharedFreeBytes(), memoryBytes, wantedBytes, runRoot });
}

/** Free bytes of shared memory; 0 when it cannot be used. */
function sharedFreeBytes(): number {
  try {
    accessSync(SHARED_MEMORY, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

interface Blank {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The files of one node. */
export class StoreFiles {
  readonly folder: string;
  readonly #spillFolder: string;
  readonly #spillRoot: string;
  #madeRoot: boolean;
  #blanks: Blank[] = [];
  #count = 0;

  /** Creates the folder, readable by this user only. */
  constructor(root: string, spillRoot: string, nodeId: string) {
    this.folder = join(root, `ballast-${nodeId}`);
    this.#spillFolder = join(spillRoot, `ballast-spill-${nodeId}`);
    this.#spillRoot = spillRoot;
    const made = mkdirSync(root, { recursive: true });
    this.#madeRoot = root === spillRoot && made !== undefined;
    mkdirSync(this.folder, { mode: 0o700 });
    markOwned(this.folder);
  }

  path(object: Named): string {
    return join(this.folder, fileNameOf(object));
  }

  spillPath(object: Named): string {
    return join(this.#spillFolder, fileNameOf(object));
  }

  get blankBytes(): number {
    return this.#blanks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get blankCount(): number {
    return this.#blanks.length;
  }

  /**
   * A name to write `sizeBytes` to: a used file of similar size that nobody maps any more, or a new one. A process
   * locks a file, then rechecks its name, before it maps it; used files have lost their names, so free files stay free.
   */
  take(sizeBytes: number): string {
    const path = join(this.folder, `writing-${++this.#count}`);
    const bySize =
      sizeBytes < MIN_BLANK_BYTES
        ? []
        : this.#blanks
            .filter((blank) => !this.isMapped(blank.path, blank.sizeBytes))
            .sort((a, b) => a.sizeBytes - b.sizeBytes);
    const blank = bySize.find((candidate) => candidate.sizeBytes >= sizeBytes) ?? bySize.at(-1);
    if (blank !== undefined) {
      this.#blanks = this.#blanks.filter((candidate) => candidate !== blank);
      renameSync(blank.path, path);
    }
    return path;
  }

  /** Renames a written file to its object's name. @throws Error when its size is not `sizeBytes`. */
  seal(path: string, object: Pick<ObjectRef, 'id' | 'digest' | 'sizeBytes'>): void {
    const { size } = statSync(path);
    if (size !== object.sizeBytes) throw new Error(`${path} has ${size} bytes, not ${object.sizeBytes}`);
    renameSync(path, this.path(object));
  }

  /** Keeps the file of an object that is gone, to be written again, within `keepBytes` of such files. */
  recycle(path: string, sizeBytes: number, keepBytes: number): void {
    const isKept =
      sizeBytes >= MIN_BLANK_BYTES &&
      this.#blanks.length < MAX_BLANKS &&
      this.blankBytes + sizeBytes <= keepBytes;
    if (!isKept) return this.discard(path);
    const blank = join(this.folder, `blank-${++this.#count}`);
    renameSync(path, blank);
    this.#blanks.push({ path: blank, sizeBytes });
  }

  /** Whether some process maps a file of `sizeBytes`, so that removing it would not free its memory. */
  isMapped(path: string, sizeBytes: number): boolean {
    return isMappable(path, sizeBytes) && isMapped(path);
  }

  /** Removes a file; processes that have it open or mapped read on. */
  discard(path: string): void {
    rmSync(path, { force: true });
  }

  /** Removes kept files until they hold no more than `keepBytes`. */
  trimBlanks(keepBytes: number): void {
    while (this.#blanks.length > 0 && this.blankBytes > keepBytes) this.discard(this.#blanks.shift()!.path);
  }

  /** Copies an object to disk. Leaves nothing behind when it fails. @throws the system's error, such as ENOSPC. */
  async copyToDisk(object: Named): Promise<void> {
    const path = this.spillPath(object);
    this.#madeRoot ||= (await mkdir(this.#spillRoot, { recursive: true })) !== undefined;
    await mkdir(this.#spillFolder, { recursive: true, mode: 0o700 });
    markOwned(this.#spillFolder);
    try {
      await copyFile(this.path(object), `${path}.part`);
      await rename(`${path}.part`, path);
    } catch (thrown) {
      await rm(`${path}.part`, { force: true });
      throw thrown;
    }
  }

  /** Removes every file, and the spill root if it was created here and is empty. */
  close(): void {
    for (const folder of [this.folder, this.#spillFolder]) rmSync(folder, { recursive: true, force: true });
    if (this.#madeRoot && readdirSync(this.#spillRoot).length === 0) rmdirSync(this.#spillRoot);
  }
}

/** Writes a whole file, over its old content if it exists. @throws the system's error, such as ENOSPC. */
export async function writeWhole(path: string, bytes: Bytes): Promise<void> {
  const parts = partsOf(bytes);
  const sizeBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { size } = await file.stat();
    const mapping = isMappable(path, sizeBytes) ? await keptMapping(file, sizeBytes) : null;
    if (size > sizeBytes) await truncate(path, sizeBytes);
    if (mapping !== null) return await copyInto(mapping, parts);
    let offset = 0;
    for (const part of parts) {
      for (let start = 0; start < part.byteLength; start += PART_BYTES) {
        await writeAt(file, part.subarray(start, start + PART_BYTES), offset + start);
      }
      offset += part.byteLength;
    }
  } finally {
    await file.close();
  }
}

/** Writes all bytes at an offset. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, offset + done);
    done += bytesWritten;
  }
}

/** Reads bytes at an offset into all of `target`. @throws Error when the file ends before. */
export async function readAt(file: FileHandle, target: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < target.byteLength;) {
    const length = Math.min(PART_BYTES, target.byteLength - done);
    const { bytesRead } = await file.read(target, done, length, offset + done);
    if (bytesRead === 0) throw new Error('the file is shorter than its object');
    done += bytesRead;
  }
}

/** Files on a disk are not mapped: if a read failed, the process would be killed instead of getting an error. */
function isMappable(path: string, sizeBytes: number): boolean {
  return sizeBytes >= MIN_MAPPED_BYTES && path.startsWith(`${SHARED_MEMORY}/`);
}

/**
 * The bytes of a sealed object's file, mapped where possible, otherwise read. Records the use in the file's change
 * time. Null when the file is missing, or when its object was freed or moved meanwhile, so that the bytes may be
 * another object's. Only reading bytes is asynchronous: the other calls take microseconds, less than handing them to
 * another thread.
 */
export async function readSealed(path: string, sizeBytes: number): Promise<Uint8Array | null> {
  const file = openIfThere(path);
  if (file === null) return null;
  try {
    const { size, ino } = fstatSync(file);
    if (size !== sizeBytes) return null;
    const isMapping = canMap && isMappable(path, sizeBytes) && lockShared(file);
    const copy = isMapping ? null : await readWhole(file, sizeBytes);
    const now = new Date();
    futimesSync(file, now, now);
    if (statSync(path, { throwIfNoEntry: false })?.ino !== ino) return null;
    return copy ?? mapFile(file, sizeBytes);
  } catch (thrown) {
    if (!existsSync(path)) return null;
    throw thrown;
  } finally {
    closeSync(file);
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

async function readWhole(file: number, sizeBytes: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  const isQuick = sizeBytes <= QUICK_BYTES;
  for (let done = 0; done < sizeBytes;) {
    const length = Math.min(PART_BYTES, sizeBytes - done);
    const count = isQuick
      ? readSync(file, bytes, done, length, done)
      : (await readPart(file, bytes, done, length, done)).bytesRead;
    if (count === 0) throw new Error('the file is shorter than its object');
    done += count;
  }
  return bytes;
}

/** When a file was last read or written, in milliseconds; 0 when it is gone. */
export function lastUseOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
