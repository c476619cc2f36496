/** Failures as statuses of plain gRPC calls: the detail travels in the trailing metadata. */

import * as grpc from '@grpc/grpc-js';
import type { ErrorDetail, ErrorDetail__Output } from '../../gen/ballast/runtime/v1/ErrorDetail.ts';
import { WireError } from '../base/call-errors.ts';
import type { Failure, FailureKind } from '../base/call-errors.ts';
import { loadMessage } from './protos.ts';
import { STATUS_CODES, statusName } from '../base/status-codes.ts';

const DETAIL_KEY = 'ballast-error-bin';

const errorDetail = loadMessage<ErrorDetail, ErrorDetail__Output>(
  'ballast/runtime/v1/error.proto',
  'ballast.runtime.v1.ErrorDetail',
);

const KIND_NAMES = {
  user: 'ERROR_KIND_USER',
  status: 'ERROR_KIND_STATUS',
  internal: 'ERROR_KIND_INTERNAL',
} as const satisfies Record<FailureKind, ErrorDetail__Output['kind']>;

/** A failure as the status that ends a plain gRPC call. */
export function toStatus({ code, message, kind }: Failure): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  if (kind !== null) metadata.set(DETAIL_KEY, errorDetail.serialize({ kind: KIND_NAMES[kind], message }));
  return { code: STATUS_CODES[code], details: message, metadata };
}

/** Converts a plain gRPC client's error, including the handler's detail. */
export function fromServiceError(error: grpc.ServiceError): WireError {
  const encoded = error.metadata?.get(DETAIL_KEY)[0];
  const detail = encoded instanceof Buffer ? errorDetail.deserialize(encoded) : null;
  const kinds = Object.keys(KIND_NAMES) as FailureKind[];
  const kind = kinds.find((key) => KIND_NAMES[key] === detail?.kind) ?? null;
  const message = detail?.message ?? error.details;
  return new WireError({ code: statusName(error.code), message, kind }, error);
}
