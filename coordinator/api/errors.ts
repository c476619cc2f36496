/** Failures of API calls as gRPC's rich errors (google.aip.dev/193): a google.rpc.Status with an ErrorInfo. */
import * as grpc from '@grpc/grpc-js';
import { CallError } from '../../actors/base/call-errors.ts';
import { loadMessage } from '../../actors/proto/protos.ts';
import { STATUS_CODES, type StatusName } from '../../actors/base/status-codes.ts';
import { UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { BadRequest, BadRequest__Output } from '../../gen/google/rpc/BadRequest.ts';
import type { ErrorInfo, ErrorInfo__Output } from '../../gen/google/rpc/ErrorInfo.ts';
import type { RetryInfo, RetryInfo__Output } from '../../gen/google/rpc/RetryInfo.ts';
import type { Status, Status__Output } from '../../gen/google/rpc/Status.ts';

const DOMAIN = 'ballast';
const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/';
/** Statuses travel in HTTP/2 headers, which are small. */
const MAX_MESSAGE_LENGTH = 1500;
const MAX_VALUE_LENGTH = 200;
/** An error that an actor did not foresee, as its caller sees it. */
const DEFECTS: ReadonlySet<StatusName> = new Set(['INTERNAL', 'UNKNOWN']);

const status = loadMessage<Status, Status__Output>('google/rpc/status.proto', 'google.rpc.Status');
const details = 'google/rpc/error_details.proto';
const errorInfo = loadMessage<ErrorInfo, ErrorInfo__Output>(details, 'google.rpc.ErrorInfo');
const badRequest = loadMessage<BadRequest, BadRequest__Output>(details, 'google.rpc.BadRequest');
const retryInfo = loadMessage<RetryInfo, RetryInfo__Output>(details, 'google.rpc.RetryInfo');

export interface ApiErrorFacts {
  readonly code: StatusName;
  /** Constant of the cause, as `RUN_NOT_FOUND`. */
  readonly reason: string;
  readonly message: string;
  /** Facts for programs. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A refusal that a program can understand. */
export class ApiError extends CallError {
  override readonly name = 'ApiError';
  readonly facts: ApiErrorFacts;

  constructor(facts: ApiErrorFacts) {
    super(facts.code, facts.message, { cause: facts.cause });
    this.facts = facts;
  }
}

/** A field of the request that cannot be accepted. */
export function invalidField(field: string, value: unknown, problem: string, cause?: unknown): ApiError {
  return new ApiError({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_FIELD',
    message: problem.startsWith(field) ? problem : `${field}: ${problem}`,
    metadata: { field, value: showValue(value) },
    cause,
  });
}

/** A resource that does not exist. */
export function notFound(reason: string, resource: string, message: string): ApiError {
  return new ApiError({ code: 'NOT_FOUND', reason, message, metadata: { resource } });
}

/** A resource that is not in the state that the call needs. */
export function precondition(reason: string, resource: string, message: string): ApiError {
  return new ApiError({ code: 'FAILED_PRECONDITION', reason, message, metadata: { resource } });
}

/** Converts any thrown value for a caller. Defects are logged; their message stays here, since it may name paths. */
export function toFacts(thrown: unknown, log: Log): ApiErrorFacts {
  if (thrown instanceof ApiError) return thrown.facts;
  if (thrown instanceof UserError)
    return { code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', message: thrown.message };
  if (thrown instanceof CallError && !DEFECTS.has(thrown.code))
    return { code: thrown.code, reason: thrown.code, message: thrown.message };
  const id = crypto.randomUUID().slice(0, 8);
  log.error('an API call failed', { id, error: thrown });
  const message = `internal error ${id}; the coordinator's log has its cause`;
  return { code: 'INTERNAL', reason: 'INTERNAL', message, metadata: { id } };
}

/** The status that ends a call. */
export function toRpcStatus(facts: ApiErrorFacts): Partial<grpc.StatusObject> {
  const code = STATUS_CODES[facts.code];
  const message = facts.message.slice(0, MAX_MESSAGE_LENGTH);
  const metadata = new grpc.Metadata();
  const encoded = status.serialize({ code, message, details: [...detailsOf(facts, message)] });
  metadata.set(DETAILS_KEY, encoded);
  return { code, details: message, metadata };
}

function* detailsOf({ reason, metadata = {}, retryAfterMs }: ApiErrorFacts, message: string) {
  const info = errorInfo.serialize({ reason, domain: DOMAIN, metadata });
  yield { type_url: `${TYPE_PREFIX}google.rpc.ErrorInfo`, value: info };
  if (metadata['field'] !== undefined) {
    const fieldViolations = [{ field: metadata['field'], description: message }];
    yield {
      type_url: `${TYPE_PREFIX}google.rpc.BadRequest`,
      value: badRequest.serialize({ fieldViolations }),
    };
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1000), nanos: (retryAfterMs % 1000) * 1e6 };
    yield { type_url: `${TYPE_PREFIX}google.rpc.RetryInfo`, value: retryInfo.serialize({ retryDelay }) };
  }
}

/** Whether a status already tells programs its cause. */
export function hasDetails(metadata: grpc.Metadata | null | undefined): boolean {
  return (metadata?.get(DETAILS_KEY).length ?? 0) > 0;
}

/** Reads the reason and the facts of a failed call, as a client does; null for errors of other servers. */
export function readErrorInfo(error: grpc.ServiceError): ErrorInfo__Output | null {
  const encoded = error.metadata?.get(DETAILS_KEY)[0];
  if (!(encoded instanceof Buffer)) return null;
  for (const detail of status.deserialize(encoded).details) {
    const { type_url: type, value } = detail as unknown as { type_url: string; value: Uint8Array };
    if (type === `${TYPE_PREFIX}google.rpc.ErrorInfo`) return errorInfo.deserialize(value);
  }
  return null;
}

function showValue(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text;
}
