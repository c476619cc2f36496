/**
 * Errors of calls. A handler throws plain errors, a `UserError`, or a `CallError` with a status of its choice; they
 * cross the wire as a gRPC status with an `ErrorDetail`, and reach the caller as a `UserError` or an `ActorError`. A
 * defect's stack stays in the log of the process where it happened.
 */

import * as grpc from '@grpc/grpc-js';
import { toError, UserError } from '../common/errors.ts';
import type { Log } from '../common/log.ts';
import type { ErrorDetail, ErrorDetail__Output } from '../gen/ballast/runtime/v1/ErrorDetail.ts';
import { loadMessage } from './protos.ts';

/** Name of a gRPC status, as `NOT_FOUND`. */
export type StatusName = Exclude<keyof typeof grpc.status, 'OK'>;

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

/** A failed gRPC call as its client sees it, before anybody says what it means. */
export class WireError extends CallError {
  override readonly name = 'WireError';
  /** What the handler threw; null when no handler answered (connection lost, deadline). */
  readonly detail: ErrorDetail__Output | null;

  constructor(code: StatusName, message: string, detail: ErrorDetail__Output | null, cause?: unknown) {
    super(code, message, { cause });
    this.detail = detail;
  }
}

const DETAIL_KEY = 'ballast-error-bin';
/** Status travels in HTTP/2 headers, which are small. */
const MAX_MESSAGE_LENGTH = 2000;

const errorDetail = loadMessage<ErrorDetail, ErrorDetail__Output>(
  'ballast/runtime/v1/error.proto',
  'ballast.runtime.v1.ErrorDetail',
);

function statusName(code: number): StatusName {
  const name = grpc.status[code];
  return name === undefined || name === 'OK' ? 'UNKNOWN' : (name as StatusName);
}

function withDetail(code: StatusName, detail: ErrorDetail): Partial<grpc.StatusObject> {
  const message = (detail.message ?? '').slice(0, MAX_MESSAGE_LENGTH);
  const metadata = new grpc.Metadata();
  metadata.set(DETAIL_KEY, errorDetail.serialize({ ...detail, message }));
  return { code: grpc.status[code], details: message, metadata };
}

/** The status that answers a call whose handler threw. Defects are logged here, with their stack. */
export function toStatus(thrown: unknown, log: Log): Partial<grpc.StatusObject> {
  if (thrown instanceof UserError) {
    return withDetail('INVALID_ARGUMENT', { kind: 'ERROR_KIND_USER', message: thrown.message });
  }
  if (thrown instanceof CallError) {
    return withDetail(thrown.code, { kind: 'ERROR_KIND_STATUS', message: thrown.message });
  }
  const error = toError(thrown);
  log.error('handler failed', { error });
  return withDetail('INTERNAL', { kind: 'ERROR_KIND_INTERNAL', message: error.message });
}

/** A gRPC client's error, with what the handler said. */
export function fromServiceError(error: grpc.ServiceError): WireError {
  const encoded = error.metadata?.get(DETAIL_KEY)[0];
  const detail = encoded instanceof Buffer ? errorDetail.deserialize(encoded) : null;
  return new WireError(statusName(error.code), detail?.message ?? error.details, detail, error);
}

/** The error for callers of a plain service (not an actor): a `UserError` stays one. */
export function toCallerError(error: WireError): Error {
  return error.detail?.kind === 'ERROR_KIND_USER' ? new UserError(error.message, { cause: error }) : error;
}
