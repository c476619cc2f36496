/**
 * The information that a node passes to an actor's process at its start. The actor's identity is in an environment
 * variable, visible in process listings; everything else (arguments, kept state) comes through a pipe, because the
 * environment is small and others can read it. The process's standard input is another pipe from the node and carries
 * nothing: when it closes, the node is gone.
 */

import { readFileSync } from 'node:fs';
import { toError, UserError } from '../../common/errors.ts';
import type { MailboxLimits } from '../base/mailbox.ts';

/** Holds an `ActorIdentity` as JSON. */
export const ENVIRONMENT_KEY = 'BALLAST_ACTOR';
/**
 * The file descriptor from which an actor's process reads its `ActorEnvironment` as JSON, and to which it writes its
 * heartbeat.
 */
export const ENVIRONMENT_PIPE = 3;

/** Where the processes of a node listen, and where others reach them. */
export interface ActorListen {
  readonly host?: string;
  readonly advertisedHost?: string;
}

/** A restarted actor's information about its predecessor. */
export interface Restart {
  /** The last value that a predecessor saved; null when none did. */
  readonly state: unknown;
  /** How the previous process ended, for people. */
  readonly reason: string;
}

/** The identity of an actor's process. */
export interface ActorIdentity {
  readonly actorId: string;
  readonly type: string;
  readonly incarnation: number;
  readonly runDir: string;
}

export interface ActorEnvironment extends ActorIdentity {
  readonly nodeAddress: string;
  /** Where it serves; loopback by default. */
  readonly listen?: ActorListen;
  readonly args: unknown;
  /** Variables of a thread; a process has them in its environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly mailbox: MailboxLimits;
  /** Null for the first incarnation. */
  readonly restart: Restart | null;
}

function isActorEnvironment(value: unknown): value is ActorEnvironment {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    ['actorId', 'type', 'nodeAddress', 'runDir'].every((key) => typeof record[key] === 'string') &&
    typeof record.incarnation === 'number'
  );
}

/** The pipe can be read only once, and an actor's program may load its own copy of this module. */
const READ = Symbol.for('ballast.actor-environment');
const globals = globalThis as { [READ]?: ActorEnvironment };

/** Whether a node started this process as an actor. */
export function isActorProcess(): boolean {
  return globals[READ] !== undefined || process.env[ENVIRONMENT_KEY] !== undefined;
}

/**
 * The environment that the node passed to this process. Processes that it starts itself are not actors, so the variable is removed.
 * @throws UserError when no node started it.
 */
export function readActorEnvironment(): ActorEnvironment {
  if (globals[READ] !== undefined) return globals[READ];
  if (process.env[ENVIRONMENT_KEY] === undefined) {
    throw new UserError(
      `${ENVIRONMENT_KEY} is not set: this program is an actor; a node starts it (see \`ballast run\`).`,
    );
  }
  delete process.env[ENVIRONMENT_KEY];
  const value = readPipe();
  if (!isActorEnvironment(value)) throw new Error('the data that the node sent to this actor is incomplete');
  globals[READ] = value;
  return value;
}

function readPipe(): unknown {
  try {
    return JSON.parse(readFileSync(ENVIRONMENT_PIPE, 'utf8'));
  } catch (cause) {
    throw new Error(`the node's pipe to this actor cannot be read: ${toError(cause).message}`, { cause });
  }
}
