/**
 * Errors of calls. A handler throws plain errors, a `UserError`, or a `CallError` with a status of its choice. The wire
 * carries who can fix each one, and the caller receives a `UserError` or an `ActorError`. The stack of a defect stays
 * in the log of the process where it happened.
 */

import { toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { plainText } from '../../common/plain-text.ts';
import type { StatusName } from './status-codes.ts';

export type { StatusName };

/** A refusal with a gRPC status chosen by the code that throws it. */
export class CallError extends Error {
  override readonly name: string = 'CallError';
  readonly code: StatusName;

  constructor(code: StatusName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface ActorErrorFacts {
  readonly actorId: string;
  /** Process of the actor that the call was sent to; 0 when there was none yet. */
  readonly incarnation: number;
  readonly code: StatusName;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** The cause for people, without the actor's name. */
  readonly reason: string;
  /** Last lines that the actor's process wrote before it died, if it died. */
  readonly lastLogLines?: readonly string[];
  readonly cause?: unknown;
}

/** A failed call to an actor: which actor, why, and whether a retry can help. */
export class ActorError extends CallError {
  override readonly name = 'ActorError';
  readonly actorId: string;
  readonly incarnation: number;
  readonly retryable: boolean;
  readonly lastLogLines: readonly string[];

  constructor(facts: ActorErrorFacts) {
    super(facts.code, `Actor ${facts.actorId}: ${facts.reason}`, { cause: facts.cause });
    this.actorId = facts.actorId;
    this.incarnation = facts.incarnation;
    this.retryable = facts.retryable;
    this.lastLogLines = facts.lastLogLines ?? [];
  }
}

/** The party that can fix a failed call: the user, code that handles the status, or a reader of the process's log. */
export type FailureKind = 'user' | 'status' | 'internal';

/** A failed call as the wire carries it. */
export interface Failure {
  readonly code: StatusName;
  readonly message: string;
  /** Null when no handler answered (connection lost, deadline exceeded, actor not found). */
  readonly kind: FailureKind | null;
  /** The encoded error of a class actor; absent when the message says everything. */
  readonly thrown?: Uint8Array;
}

/** Marks `original` as thrown by a handler, and carries it to the caller unchanged. */
export class ThrownValue extends Error {
  override readonly name = 'ThrownValue';
  readonly original: unknown;
  readonly encoded: Uint8Array;

  constructor(original: unknown, encoded: Uint8Array) {
    super('thrown by a method');
    this.original = original;
    this.encoded = encoded;
  }
}

/** A failed call as its client sees it, before it is interpreted. */
export class WireError extends CallError {
  override readonly name = 'WireError';
  readonly kind: FailureKind | null;

  readonly thrown: Uint8Array | null;

  constructor({ code, message, kind, thrown }: Failure, cause?: unknown) {
    super(code, message, { cause });
    this.kind = kind;
    this.thrown = thrown ?? null;
  }
}

/** HTTP/2 headers carry gRPC statuses, and their size is limited. */
const MAX_MESSAGE_LENGTH = 2000;

/** Converts an error that a handler threw. Defects are logged here, with their stack. */
export function toFailure(thrown: unknown, log: Log): Failure {
  if (thrown instanceof ThrownValue) return { ...toFailure(thrown.original, log), thrown: thrown.encoded };
  if (thrown instanceof UserError) return failure('INVALID_ARGUMENT', thrown.message, 'user');
  if (thrown instanceof CallError) return failure(thrown.code, thrown.message, 'status');
  const error = toError(thrown);
  log.error('handler failed', { error });
  return failure('INTERNAL', error.message, 'internal');
}

/** The status under which a failure is counted. */
export function statusOf(thrown: unknown): StatusName {
  if (thrown instanceof CallError) return thrown.code;
  return thrown instanceof UserError ? 'INVALID_ARGUMENT' : 'INTERNAL';
}

/** Messages may echo text that callers sent. */
function failure(code: StatusName, message: string, kind: FailureKind): Failure {
  return { code, message: plainText(message).slice(0, MAX_MESSAGE_LENGTH), kind };
}

/** The error for callers of a plain service (not an actor): a `UserError` stays a `UserError`. */
export function toCallerError(thrown: unknown): unknown {
  if (!(thrown instanceof WireError)) return thrown;
  return thrown.kind === 'user' ? new UserError(thrown.message, { cause: thrown }) : thrown;
}
