/**
 * Structured log lines: one JSON object per line on stderr, `{time, level, message, …fields}`. Never throws: a log that
 * cannot be written (closed pipe, full disk) must not interrupt the work.
 */

import { writeSync } from 'node:fs';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to each line. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  /** Lowest level written. */
  readonly level?: LogLevel;
  readonly fields?: LogFields;
  /** Receives each line with its newline; stderr by default. */
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STDERR = 2;

function writeToStderr(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // There is nowhere left to report it.
  }
}

/** Errors as plain objects: message, code, stack and the chain of causes; big integers as strings. */
function toJsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!(value instanceof Error)) return value;
  return {
    name: value.name,
    message: value.message,
    ...('code' in value ? { code: value.code } : {}),
    stack: value.stack,
    ...(value.cause === undefined ? {} : { cause: value.cause }),
  };
}

function formatLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const head = { time: time.toISOString(), level, message };
  try {
    return JSON.stringify({ ...head, ...fields }, toJsonValue) + '\n';
  } catch {
    return JSON.stringify(head) + '\n';
  }
}

export function createLog(options: LogOptions = {}): Log {
  const { level = 'info', fields = {}, write = writeToStderr, now = () => new Date() } = options;
  const writeAt = (lineLevel: LogLevel) => (message: string, lineFields?: LogFields) => {
    if (SEVERITY[lineLevel] < SEVERITY[level]) return;
    write(formatLine(now(), lineLevel, message, { ...fields, ...lineFields }));
  };
  return {
    debug: writeAt('debug'),
    info: writeAt('info'),
    warn: writeAt('warn'),
    error: writeAt('error'),
    with: (more) => createLog({ level, fields: { ...fields, ...more }, write, now }),
  };
}

/** A log that writes nothing. */
export const silentLog: Log = createLog({ write: () => undefined });
