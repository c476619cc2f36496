/** Reads the end of a growing log file, and follows new lines. */

import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../common/errors.ts';

const POLL_MS = 250;
const TAIL_BYTES = 256 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** Whole lines: first the last `lastLines` (within the last 256 KiB), then new ones if `follow`. */
export async function* tailLog(
  path: string,
  { lastLines, follow }: { readonly lastLines: number; readonly follow: boolean },
  signal: AbortSignal,
): AsyncGenerator<string[], void, undefined> {
  let position = 0;
  let rest = '';
  let isFirst = true;
  while (!signal.aborted) {
    const { text, end, isCut } = await readFrom(path, position, isFirst);
    position = end;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (isCut) lines.shift(); // starts in the middle of a line
    const told = isFirst ? lines.slice(lines.length - Math.min(lines.length, lastLines)) : lines;
    isFirst = false;
    if (told.length > 0) yield told;
    if (!follow) return;
    if (text === '') await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function readFrom(path: string, position: number, isFirst: boolean) {
  const file = await open(path, 'r').catch((thrown: unknown) => {
    if (errorCode(thrown) === 'ENOENT') return null;
    throw thrown;
  });
  if (file === null) return { text: '', end: position, isCut: false };
  try {
    const { size } = await file.stat();
    const start = isFirst ? Math.max(0, size - TAIL_BYTES) : Math.min(position, size);
    const length = isFirst ? size - start : Math.min(CHUNK_BYTES, size - start);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    return {
      text: buffer.toString('utf8', 0, bytesRead),
      end: start + bytesRead,
      isCut: isFirst && start > 0,
    };
  } finally {
    await file.close();
  }
}
