/**
 * Shared-memory files as bytes of this process, without a copy, through `mmap`, which Node lacks and koffi provides.
 *
 * Mapped bytes must not change, so their file must neither be overwritten nor truncated. A process that maps a file
 * holds a shared lock on it (`flock`), which the system keeps for as long as the mapping lives and releases when the
 * process dies. Call `isMapped` before a file is reused.
 *
 * A mapping is private: a process that writes to its bytes changes them only for itself. The mapping ends when the
 * garbage collector finds that nobody has the bytes any more, which V8 does in time because it counts their size.
 */

import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, markAsUntransferable } from 'node:worker_threads';
import type koffi from 'koffi';
import { errorCode } from '../../common/errors.ts';

const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
/** Allocates the memory of the whole mapping at once. */
const MAP_POPULATE = 0x8000;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_AT_ONCE = 4;

/** Pointer type as koffi returns it. */
type Address = number | bigint;

interface SystemCalls {
  mmap(address: null, length: number, access: number, flags: number, file: number, offset: number): Address;
  munmap(address: Address, length: number): number;
  flock(file: number, operation: number): number;
  view(address: Address, length: number): ArrayBuffer;
}

let calls: SystemCalls | null = null;

/** Loaded at first use: most processes never map anything. */
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

/**
 * Whether this thread may map files: only a process's main thread may, because a thread that is killed could not end
 * its mappings.
 */
export const canMap = isMainThread && process.platform === 'linux';

/**
 * Takes the lock that protects an open file from changes for as long as it is open or mapped. False when a process is
 * just checking whether the file is in use.
 */
export function lockShared(file: number): boolean {
  return systemCalls().flock(file, LOCK_SHARED | LOCK_AT_ONCE) === 0;
}

/**
 * Maps the first `sizeBytes` (above 0) of an open file that is at least as large. @throws Error when the system
 * refuses.
 */
export function mapFile(file: number, sizeBytes: number): Uint8Array {
  return map(file, sizeBytes, MAP_PRIVATE);
}

/** The same, but writes to the bytes reach the file. The memory of all of them must be allocated. */
export function mapForWriting(file: number, sizeBytes: number): Uint8Array {
  return map(file, sizeBytes, MAP_SHARED | MAP_POPULATE);
}

function map(file: number, sizeBytes: number, flags: number): Uint8Array {
  const system = systemCalls();
  const address = system.mmap(null, sizeBytes, PROT_READ_WRITE, flags, file, 0);
  if (BigInt.asIntN(64, BigInt(address)) === -1n) throw new Error(`${sizeBytes} bytes cannot be mapped`);
  const buffer = system.view(address, sizeBytes);
  unmapping.register(buffer, { address, length: sizeBytes });
  markAsUntransferable(buffer); // otherwise another thread would keep the bytes while this one ends their mapping
  return new Uint8Array(buffer);
}

/** Whether some process maps a file, or is about to. False for a file that does not exist. */
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
