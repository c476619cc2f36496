/**
 * The log of an actor in a thread: its log lines and whatever its program prints, as with a process. Each line is in the
 * file before the thread goes on, so a thread that is killed leaves all of them.
 */

import { appendFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { createLog, type Log } from '../../common/log.ts';
import type { ThreadData } from './thread-protocol.ts';

/** A log that cannot be written (full disk) must not interrupt the work. */
export function appendToLog(logPath: string, text: string | Uint8Array, encoding?: BufferEncoding): void {
  try {
    appendFileSync(logPath, text, encoding);
  } catch {
    // There is nowhere left to report it.
  }
}

export function logOf({ environment: { actorId, incarnation }, logPath }: ThreadData): Log {
  return createLog({
    fields: { actor: actorId, incarnation },
    write: (line) => appendToLog(logPath, line),
  });
}

/** Makes this thread's stdout and stderr write to its actor's log; by default they go to those of its host. */
export function printToLog(logPath: string): void {
  for (const stream of [process.stdout, process.stderr] as Writable[]) {
    stream._writev = (chunks, done) => {
      for (const { chunk, encoding } of chunks as { chunk: string | Uint8Array; encoding: BufferEncoding }[])
        appendToLog(logPath, chunk, encoding);
      done();
    };
  }
}
