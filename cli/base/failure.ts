/**
 * How a failed command ends: its message on stderr, and its exit code. A user's mistake is one line; anything else is a
 * message, a log to read, and a stack only with BALLAST_DEBUG=1.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { errorCode, readableError, toError, UserError } from '../../common/errors.ts';
import { plainText } from '../../common/plain-text.ts';

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/** A run that failed for no fault of the user's; its folder has logs that tell more. */
export class RunFailed extends Error {
  override readonly name = 'RunFailed';
  readonly logPath: string;

  constructor(message: string, logPath: string, options?: ErrorOptions) {
    super(message, options);
    this.logPath = logPath;
  }
}

/** The command was stopped by a signal, cleanly; `message` says how to continue. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(signalName: 'SIGINT' | 'SIGTERM', message: string) {
    super(message);
    this.exitCode = signalName === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  }
}

export interface Failure {
  /** Lines for stderr. */
  readonly lines: readonly string[];
  readonly exitCode: number;
}

const MAX_LINES = 1000;
const FULL_DISK = new Set(['ENOSPC', 'EDQUOT']);

/** The lines to print and the exit code. `writeLog` stores a stack and returns its path. */
export function describeFailure(
  thrown: unknown,
  isDebug: boolean,
  writeLog: (text: string) => string,
): Failure {
  if (thrown instanceof CommanderError) return { lines: [], exitCode: usageExitCode(thrown) };
  if (thrown instanceof Interrupted) return { lines: [thrown.message], exitCode: thrown.exitCode };
  const error = readableError(thrown);
  const stack = isDebug ? fullStack(error) : [];
  if (error instanceof UserError)
    return { lines: [`error: ${oneLine(error.message)}`, ...stack], exitCode: EXIT.failure };
  if (FULL_DISK.has(errorCode(error) ?? ''))
    return {
      lines: [
        `error: the disk is full (${oneLine(error.message)}): free some space or choose another folder`,
      ],
      exitCode: EXIT.failure,
    };
  const log = error instanceof RunFailed ? error.logPath : writeLog(fullStack(error).join('\n'));
  const advice = isDebug ? '' : '; BALLAST_DEBUG=1 shows the stack here';
  return {
    lines: [
      `error: ${oneLine(error.message)}`,
      `This error is unexpected. Unless the log shows a cause outside Ballast, it is a bug: please report it with ${log}${advice}.`,
      ...stack,
    ],
    exitCode: EXIT.failure,
  };
}

/** Writes a stack where no run folder is at hand; returns the path, or says that it could not. */
export function writeTemporaryLog(text: string): string {
  try {
    // A new folder that only this user can enter: in a shared one, another user may have created a link with that name.
    const path = join(mkdtempSync(join(tmpdir(), 'ballast-error-')), 'error.log');
    writeFileSync(path, `${text}\n`, { flag: 'wx', mode: 0o600 });
    return path;
  } catch {
    return 'the stack (run again with BALLAST_DEBUG=1)';
  }
}

function usageExitCode({ exitCode }: CommanderError): number {
  return exitCode === 0 ? EXIT.ok : EXIT.usage; // commander has printed help, version or what is wrong
}

/** Names of files, classes and actors in a message steer no terminal. */
function oneLine(text: string): string {
  return plainText(
    text
      .split('\n', MAX_LINES)
      .map((line) => line.trim())
      .join(' '),
  ).trim();
}

/** The stack with those of its causes. */
function fullStack(error: Error): string[] {
  const lines = (error.stack ?? error.message).split('\n');
  return error.cause === undefined ? lines : [...lines, 'caused by:', ...fullStack(toError(error.cause))];
}
