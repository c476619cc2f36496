/**
 * What a node tells an actor's process when it starts it: one environment variable that holds JSON. The process's
 * standard input is a pipe from the node and carries nothing: when it closes, the node is gone.
 */

import { UserError } from '../../common/errors.ts';
import type { MailboxLimits } from '../base/mailbox.ts';

export const ENVIRONMENT_KEY = 'BALLAST_ACTOR';

/** Where the processes of a node listen, and where others reach them. */
export interface ActorListen {
  readonly host?: string;
  readonly advertisedHost?: string;
}

/** What a restarted actor learns of its predecessor. */
export interface Restart {
  /** The last value that a predecessor saved; null when none did. */
  readonly state: unknown;
  /** How the process before this one ended, for people. */
  readonly reason: string;
}

export interface ActorEnvironment {
  readonly actorId: string;
  readonly type: string;
  readonly incarnation: number;
  readonly nodeAddress: string;
  /** Where it serves; loopback by default. */
  readonly listen?: ActorListen;
  readonly runDir: string;
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

/** Reads the variable. @throws UserError when the process was not started by a node. */
export function readActorEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): ActorEnvironment {
  const json = environment[ENVIRONMENT_KEY];
  if (json === undefined) {
    throw new UserError(
      `${ENVIRONMENT_KEY} is not set: this program is an actor; a node starts it (see \`ballast run\`).`,
    );
  }
  const value: unknown = JSON.parse(json);
  if (!isActorEnvironment(value)) throw new Error(`${ENVIRONMENT_KEY} is incomplete: ${json}`);
  return value;
}
