/**
 * One operating-system process of an actor. It writes its output directly to the actor's log file, so nothing is lost
 * when the node dies; the end of that file explains the death of the process. Its standard input is the far end of a
 * pipe that closes when the node dies for any reason.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Duplex, Writable } from 'node:stream';
import { toError } from '../../common/errors.ts';
import { clippedText } from '../../common/plain-text.ts';
import type { Beat } from '../base/activity.ts';
import { writeFailure } from '../../common/files.ts';
import { ENVIRONMENT_KEY, ENVIRONMENT_PIPE } from '../status/actor-environment.ts';
import type { ActorEnvironment, ActorIdentity } from '../status/actor-environment.ts';
import type { Death } from '../status/restart-policy.ts';

const LAST_LINES = 20;
const TAIL_BYTES = 16 * 1024;

export interface ActorProcessOptions {
  /** Absolute path of the entry module. */
  readonly entry: string;
  readonly environment: ActorEnvironment;
  readonly env: Readonly<Record<string, string>>;
  readonly logPath: string;
  /** Receives the heartbeat. */
  readonly onBeat: (beat: Beat) => void;
}

export interface ActorProcess {
  readonly pid: number | null;
  /** Resolves once, when the process is gone. */
  readonly ended: Promise<ProcessEnd>;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ProcessEnd extends Death {
  readonly lastLogLines: readonly string[];
  /** Set when the process could not be started. */
  readonly startError: Error | null;
}

/** The last lines of a file that were written at or after byte `from`. */
function lastLines(path: string, from: number): string[] {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const start = Math.max(from, size - TAIL_BYTES);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    const length = readSync(file, bytes, 0, bytes.length, start);
    const lines = bytes.toString('utf8', 0, length).split('\n');
    if (start > from) lines.shift(); // starts in the middle of a line
    return lines.filter((line) => line.trim() !== '').slice(-LAST_LINES);
  } finally {
    closeSync(file);
  }
}

/** The last lines of a process's log, or why they cannot be read. */
export function linesOrReason(path: string, from: number): string[] {
  try {
    return lastLines(path, from);
  } catch (thrown) {
    return [`(log ${path} cannot be read: ${toError(thrown).message})`];
  }
}

export function openLog(path: string): { file: number; size: number } {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, 'a');
    return { file, size: fstatSync(file).size };
  } catch (thrown) {
    throw toError(writeFailure(path, thrown));
  }
}

/** Maximum length of a heartbeat line. */
const MAX_BEAT_LENGTH = 64 * 1024;

/** Parses lines of JSON and ignores others, because an actor's program may write anything. */
function readBeats(pipe: Duplex, onBeat: (beat: Beat) => void): void {
  let rest = '';
  pipe.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!.slice(0, MAX_BEAT_LENGTH);
    const beat = parseBeat(lines.at(-1) ?? '');
    if (beat !== null) onBeat(beat);
  });
}

function parseBeat(line: string): Beat | null {
  try {
    const { busyMs, methods } = JSON.parse(line) as Partial<Record<keyof Beat, unknown>>;
    if (typeof busyMs !== 'number' || !Array.isArray(methods)) return null;
    return { busyMs, methods: methods.map((method) => clippedText(String(method), 200)) };
  } catch {
    return null;
  }
}

/** Kills remaining processes that the process started. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // No process of the group is left.
  }
}

function startChild(entry: string, env: NodeJS.ProcessEnv, log: number): ChildProcess & { stdin: Writable } {
  try {
    const stdio = ['pipe', log, log, 'pipe'] as const;
    const options = { cwd: process.cwd(), env, stdio: [...stdio], detached: true }; // a separate process group
    return spawn(process.execPath, [entry], options) as ChildProcess & { stdin: Writable };
  } finally {
    closeSync(log);
  }
}

function identityOf({ actorId, type, incarnation, runDir }: ActorEnvironment): NodeJS.ProcessEnv {
  const identity: ActorIdentity = { actorId, type, incarnation, runDir };
  return { [ENVIRONMENT_KEY]: JSON.stringify(identity) };
}

/** Starts a process. @throws UserError when its log cannot be written. */
export function startActorProcess(options: ActorProcessOptions): ActorProcess {
  const { entry, environment, env, logPath } = options;
  const { file, size } = openLog(logPath);
  const child = startChild(entry, { ...process.env, ...env, ...identityOf(environment) }, file);
  child.stdin.on('error', () => undefined); // the far end closes with the process
  const pipe = child.stdio[ENVIRONMENT_PIPE] as Duplex; // a program that is not an actor never reads it
  pipe.on('error', () => undefined).end(JSON.stringify(environment));
  readBeats(pipe, options.onBeat);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, exitSignal) => {
      killGroup(child.pid);
      resolve({ exitCode, exitSignal, lastLogLines: linesOrReason(logPath, size), startError: null });
    });
    child.once('error', (startError) => {
      if (child.pid === undefined)
        resolve({ exitCode: null, exitSignal: null, lastLogLines: [], startError });
    });
  });
  const signal = (name: 'SIGTERM' | 'SIGKILL') => {
    if (name === 'SIGKILL') killGroup(child.pid);
    else child.kill(name); // it may want to end its own children itself
  };
  return { pid: child.pid ?? null, ended, signal };
}
