/**
 * Files of shared memory as bytes of this process, without a copy: `mmap`, which Node has not, through koffi.
 *
 * While bytes are mapped they must stay as they are, so their file may neither be written again nor cut. Who maps one
 * holds a shared lock on it (`flock`), which the system keeps for as long as the mapping lives and takes away when the
 * process dies. Who wants to use a file again asks with `isMapped`.
 *
 * A mapping is private: who writes to its bytes changes them for himself alone. It ends when the garbage collector finds
 * that nobody has the bytes any more, which V8 does in time, as it counts them.
 */

import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, markAsUntransferable } from 'node:worker_threads';
import type koffi from 'koffi';
import { errorCode } from '../../common/errors.ts';

const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
/** Finds the memory of the whole mapping at once. */
const MAP_POPULATE = 0x8000;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_AT_ONCE = 4;

/** As koffi gives it. */
type Address = number | bigint;

interface SystemCalls {
  mmap(address: null, length: number, access: number, flags: number, file: number, offset: number): Address;
  munmap(address: Address, length: number): number;
  flock(file: number, operation: number): number;
  view(address: Address, length: number): ArrayBuffer;
}

let calls: SystemCalls | null = null;

/** Loaded at the first use: most processes never map anything. */
function systemCalls(): SystemCalls {
  calls ??= load(createRequire(import.meta.url)('koffi') as typeof koffi);
  return calls;
}

function load(library: typeof koffi): SystemCalls {
  const libc = library.load(null);
  return {
    mmap: libc.func('uintptr_t mmap(void *, size_t, int, int, int, int64_t)') as SystemCalls['mmap'],
    munmap: libc.func('int munmap(uintptr_t, size_t)') as SystemCalls['munmap'],
    flock: libc.func('int flock(int, int)') as SystemCalls['flock'],
    view: (address, length) => library.view(BigInt(address), length),
  };
}

interface Mapping {
  readonly address: Address;
  readonly length: number;
}

const unmapping = new FinalizationRegistry<Mapping>(({ address, length }) => {
  systemCalls().munmap(address, length);
});

/** Whether this thread may map files: one that is killed could not end its mappings, so only a process's main thread. */
export const canMap = isMainThread && process.platform === 'linux';

/**
 * Takes the lock that keeps an open file as it is, for as long as the file is open or mapped. False when somebody is
 * just looking whether the file is in use.
 */
export function lockShared(file: number): boolean {
  return systemCalls().flock(file, LOCK_SHARED | LOCK_AT_ONCE) === 0;
}

/** The first `sizeBytes` (above 0) of an open file that has as many. @throws Error when the system refuses. */
export function mapFile(file: number, sizeBytes: number): Uint8Array {
  return map(file, sizeBytes, MAP_PRIVATE);
}

/** The same, but what is written to the bytes is written to the file. It must have memory for all of them. */
export function mapForWriting(file: number, sizeBytes: number): Uint8Array {
  return map(file, sizeBytes, MAP_SHARED | MAP_POPULATE);
}

function map(file: number, sizeBytes: number, flags: number): Uint8Array {
  const system = systemCalls();
  const address = system.mmap(null, sizeBytes, PROT_READ_WRITE, flags, file, 0);
  if (BigInt.asIntN(64, BigInt(address)) === -1n) throw new Error(`${sizeBytes} bytes cannot be mapped`);
  const buffer = system.view(address, sizeBytes);
  unmapping.register(buffer, { address, length: sizeBytes });
  markAsUntransferable(buffer); // another thread would keep the bytes, and this one end their mapping
  return new Uint8Array(buffer);
}

/** Whether some process has a file mapped, or is about to. False for a file that does not exist. */
export function isMapped(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
  try {
    return systemCalls().flock(file, LOCK_EXCLUSIVE | LOCK_AT_ONCE) !== 0;
  } finally {
    closeSync(file);
  }
}
