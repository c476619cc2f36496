/** The end of a log of a run, or the piece before a position: logs can be long. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';

const PIECE_BYTES = 64 * 1024;
const LOG = /^[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.log$/;

export interface LogPiece {
  readonly lines: readonly string[];
  /** Position of the first line, to ask for what is before it; 0 at the beginning. */
  readonly from: number;
  readonly sizeBytes: number;
}

/** @throws UserError when there is no such log */
export async function readLogTail(dir: string, name: string, before: string | null): Promise<LogPiece> {
  if (!LOG.test(name)) throw new UserError(`no log '${name}'`);
  const file = await open(join(dir, 'logs', name), 'r').catch((thrown: unknown) => {
    throw new UserError(`no log '${name}'`, { cause: thrown });
  });
  try {
    const { size } = await file.stat();
    const wanted = before === null ? size : Number(before);
    const end = Number.isInteger(wanted) ? Math.max(0, Math.min(size, wanted)) : size;
    const start = Math.max(0, end - PIECE_BYTES);
    const bytes = Buffer.alloc(end - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    const read = bytes.subarray(0, bytesRead);
    const first = start === 0 ? 0 : read.indexOf(10) + 1;
    const lines = read
      .toString('utf8', first)
      .split('\n')
      .filter((line) => line !== '');
    return { lines, from: start + first, sizeBytes: size };
  } finally {
    await file.close();
  }
}
