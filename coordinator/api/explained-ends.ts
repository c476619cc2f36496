/**
 * gRPC ends some calls itself, before or beside a method: a request that is too large, an unknown compression, a deadline.
 * This gives such ends the ErrorInfo that every failed call of the API carries.
 */
import * as grpc from '@grpc/grpc-js';
import { statusName } from '../../actors/base/status-codes.ts';
import { ApiError, type ApiErrorFacts, hasDetails, toRpcStatus } from './errors.ts';

/** Larger requests are refused before they are decoded. */
export const MAX_REQUEST_BYTES = 256 * 1024;

export function explainedEnds(
  _method: grpc.ServerMethodDefinition<unknown, unknown>,
  call: grpc.ServerInterceptingCallInterface,
): grpc.ServerInterceptingCall {
  const send = call.sendStatus.bind(call);
  // gRPC calls this one itself, on the innermost call, where no interceptor would see it.
  call.sendStatus = (status) => send(isExplained(status) ? status : explained(status));
  return new grpc.ServerInterceptingCall(call);
}

type End = Parameters<grpc.ServerInterceptingCallInterface['sendStatus']>[0];

function isExplained({ code, metadata }: End): boolean {
  return code === grpc.status.OK || hasDetails(metadata);
}

function explained(end: End): End {
  const isTooLarge =
    end.code === grpc.status.RESOURCE_EXHAUSTED && (end.details ?? '').startsWith('Received message');
  return { ...end, ...toRpcStatus(isTooLarge ? requestTooLarge().facts : factsOf(end)) };
}

function factsOf({ code, details }: End): ApiErrorFacts {
  const name = statusName(code ?? grpc.status.UNKNOWN);
  return { code: name, reason: name, message: details ?? name };
}

/**
 * INVALID_ARGUMENT instead of RESOURCE_EXHAUSTED: the same request can never succeed, so a client must not retry it.
 */
export function requestTooLarge(): ApiError {
  return new ApiError({
    code: 'INVALID_ARGUMENT',
    reason: 'REQUEST_TOO_LARGE',
    message: `the request is larger than ${MAX_REQUEST_BYTES} bytes, the most that this server takes`,
    metadata: { maxBytes: String(MAX_REQUEST_BYTES) },
  });
}
