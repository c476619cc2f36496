/**
 * Errors of calls. A handler throws plain errors, a `UserError`, or a `CallError` with a status of its choice; they
 * cross the wire with who can help, and reach the caller as a `UserError` or an `ActorError`. A
 * defect's stack stays in the log of the process where it happened.
 */

import { toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { plainText } from '../../common/plain-text.ts';
import type { StatusName } from './status-codes.ts';

export type { StatusName };

/** A refusal with a status chosen by the one who throws it. */
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
  /** Process of the actor that the call was meant for; 0 when there was none yet. */
  readonly incarnation: number;
  readonly code: StatusName;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** What happened, for people, without the actor's name. */
  readonly reason: string;
  /** Last lines that the actor's dead process wrote, if it died. */
  readonly lastLogLines?: readonly string[];
  readonly cause?: unknown;
}

/** A call to an actor that failed: which actor, why, and whether a retry can help. */
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

/** Who can help when a call fails: the user, whoever understands the status, or the log of the process. */
export type FailureKind = 'user' | 'status' | 'internal';

/** How a call failed, as it crosses the wire. */
export interface Failure {
  readonly code: StatusName;
  readonly message: string;
  /** Null when no handler answered (connection lost, deadline, actor not there). */
  readonly kind: FailureKind | null;
  /** What a class actor threw, encoded; left out where a message is all. */
  readonly thrown?: Uint8Array;
}

/** Says that a handler threw `original`, and takes it to the caller whole. */
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

/** A failed call as its client sees it, before anybody says what it means. */
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

/** Statuses of gRPC travel in HTTP/2 headers, which are small. */
const MAX_MESSAGE_LENGTH = 2000;

/** How a call failed whose handler threw. Defects are logged here, with their stack. */
export function toFailure(thrown: unknown, log: Log): Failure {
  if (thrown instanceof ThrownValue) return { ...toFailure(thrown.original, log), thrown: thrown.encoded };
  if (thrown instanceof UserError) return failure('INVALID_ARGUMENT', thrown.message, 'user');
  if (thrown instanceof CallError) return failure(thrown.code, thrown.message, 'status');
  const error = toError(thrown);
  log.error('handler failed', { error });
  return failure('INTERNAL', error.message, 'internal');
}

/** Messages repeat what callers sent. */
function failure(code: StatusName, message: string, kind: FailureKind): Failure {
  return { code, message: plainText(message).slice(0, MAX_MESSAGE_LENGTH), kind };
}

/** The error for callers of a plain service (not an actor): a `UserError` stays one. */
export function toCallerError(thrown: unknown): unknown {
  if (!(thrown instanceof WireError)) return thrown;
  return thrown.kind === 'user' ? new UserError(thrown.message, { cause: thrown }) : thrown;
}
