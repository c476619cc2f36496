/**
 * Keeps mappings of shared-memory files that a process writes to again and again: copying into existing memory takes
 * half the time of a write. Used files return under other names, so they are identified by inode. Only files whose
 * memory is fully allocated are written this way: if the system found none, it would kill the process instead of
 * refusing.
 */

import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { canMap, mapForWriting } from './mapped-files.ts';

const MAX_MAPPINGS = 4;
/** How long an unused mapping is kept; a file that its node removes keeps its memory for that time. */
const IDLE_MS = 2000;
/** About a millisecond of copying. */
const SLICE_BYTES = 8 * 1024 * 1024;
/** Unit of `blocks`, whatever the file system's own block size. */
const BLOCK_BYTES = 512;

interface Kept {
  readonly bytes: Uint8Array;
  usedMs: number;
}

const mappings = new Map<number, Kept>(); // by inode, in order of last use
let idle: NodeJS.Timeout | undefined;

/**
 * A mapping of a file's first `sizeBytes`; null when the file must be written instead, because its memory is not fully
 * allocated.
 */
export async function keptMapping(file: FileHandle, sizeBytes: number): Promise<Uint8Array | null> {
  if (!canMap) return null;
  const { ino, size, blocks } = await file.stat();
  if (size < sizeBytes || blocks * BLOCK_BYTES < size) return null;
  const kept = mappings.get(ino);
  const bytes =
    kept !== undefined && kept.bytes.byteLength >= sizeBytes ? kept.bytes : mapForWriting(file.fd, size);
  mappings.delete(ino);
  mappings.set(ino, { bytes, usedMs: performance.now() });
  for (const oldest of mappings.keys()) if (mappings.size > MAX_MAPPINGS) mappings.delete(oldest);
  idle ??= setInterval(dropIdle, IDLE_MS).unref();
  return bytes.subarray(0, sizeBytes);
}

/** Copies all parts into a mapping, and yields to the event loop in between. */
export async function copyInto(target: Uint8Array, parts: readonly Uint8Array[]): Promise<void> {
  let offset = 0;
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; start += SLICE_BYTES) {
      const slice = part.subarray(start, start + SLICE_BYTES);
      target.set(slice, offset + start);
      if (slice.byteLength === SLICE_BYTES) await setImmediate();
    }
    offset += part.byteLength;
  }
}

function dropIdle(): void {
  const beforeMs = performance.now() - IDLE_MS;
  for (const [ino, { usedMs }] of mappings) if (usedMs < beforeMs) mappings.delete(ino);
  if (mappings.size > 0) return;
  clearInterval(idle);
  idle = undefined;
}
