/** Encodes and decodes frames. Decoding copies nothing: `bytes` fields are views of the frame. */

import type { Failure, FailureKind } from '../../base/call-errors.ts';
import { loadRoot } from '../../proto/proto-root.ts';
import { STATUS_CODES, statusName } from '../../base/status-codes.ts';

/** Path of the only method of `ballast.runtime.v1.TransportService`. */
export const CONNECT_PATH = '/ballast.runtime.v1.TransportService/Connect';

export interface Hello {
  readonly processId: string;
  readonly address: string;
}

export interface Call {
  readonly actorId: string;
  readonly incarnation: number;
  readonly method: string;
  readonly request: Uint8Array;
  /** 0 for no deadline. */
  timeoutMs: number;
  allowed: number;
  received: number;
  /** Whether request messages follow. */
  readonly streamsRequests: boolean;
  /** Whether the request may have arrived already, on a connection that broke. */
  isRepeated: boolean;
  /** The chain of calls that led to it. */
  readonly chain: readonly string[];
}

export interface Request {
  readonly callId: number;
  readonly call?: Call | null;
  readonly cancel?: boolean;
  readonly allowed?: number;
  /** The request message at position `index`, from 0. */
  readonly message?: Uint8Array;
  readonly index?: number;
  /** The total number of request messages. */
  readonly endAt?: number;
}

/** Numbers of the enum `ballast.runtime.v1.ErrorKind`. */
const KINDS = [null, 'user', 'status', 'internal'] as const satisfies readonly (FailureKind | null)[];

export function toFailureMessage({ code, message, kind, thrown }: Failure): FailureMessage {
  if (kind === null) return { code: STATUS_CODES[code], message, detail: null };
  return {
    ...{ code: STATUS_CODES[code], message },
    detail: { kind: KINDS.indexOf(kind), ...(thrown === undefined ? {} : { thrown }) },
  };
}

export function fromFailureMessage({ code, message, detail }: FailureMessage): Failure {
  const failure = { code: statusName(code), message };
  if (detail === null) return { ...failure, kind: null };
  const { kind, thrown } = detail;
  return { ...failure, kind: KINDS[kind] ?? null, ...(thrown?.length ? { thrown } : {}) };
}

/** A failure as numbers. */
export interface FailureMessage {
  /** gRPC status code. */
  readonly code: number;
  readonly message: string;
  /** Null when no handler answered. */
  readonly detail: { readonly kind: number; readonly thrown?: Uint8Array } | null;
}

export interface Reply {
  readonly callId: number;
  readonly index: number;
  /** Absent in a reply that only ends the call. */
  readonly message?: Uint8Array;
  readonly end?: boolean;
  readonly failure?: FailureMessage | null;
  /** Request messages that the caller may send in total. */
  readonly allowed?: number;
}

export interface Frame {
  readonly hello?: Hello | null;
  readonly requests: readonly Request[];
  readonly replies: readonly Reply[];
  readonly answeredBelow: number;
  /** The caller's session, which numbers the requests. */
  readonly callerId: string;
  /** Number of this connection among the caller's, from 1. */
  readonly connection: number;
}

// Both directions wrap a Frame as field 1, so one codec serves both.
const envelope = loadRoot('ballast/runtime/v1/transport.proto').lookupType(
  'ballast.runtime.v1.ConnectRequest',
);

export function encodeFrame(frame: Frame): Buffer {
  return envelope.encode({ frame }).finish() as Buffer;
}

/** @throws Error if the bytes are not a frame. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const { frame } = envelope.decode(bytes) as unknown as { frame: Frame | null };
  if (frame === null) throw new Error('an empty frame');
  return frame;
}

/** Whether a decoded item carries a message (which may be empty). */
export function hasMessage<Said extends Reply | Request>(
  said: Said,
): said is Said & { readonly message: Uint8Array } {
  return Object.hasOwn(said, 'message');
}
