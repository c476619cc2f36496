/** A call as it arrives, however it came, and where its answers go. Requests and responses are bytes. */

import type { Log } from '../../common/log.ts';
import type { Failure } from '../base/call-errors.ts';

/** What a handler knows of its call. */
export interface CallContext {
  /** Aborted when the caller cancels, the deadline passes or the process stops. */
  readonly signal: AbortSignal;
  /** Milliseconds that the caller had left when the call arrived; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  readonly log: Log;
}

export interface IncomingCall {
  /** Empty for the process itself. */
  readonly actorId: string;
  /** 0 for any. */
  readonly incarnation: number;
  /** gRPC path. */
  readonly method: string;
  readonly request: Uint8Array;
  /** Of a call that streams its request messages; null for one that has one, `request`. */
  readonly requests: AsyncIterable<Uint8Array> | null;
  /** Infinity for none. */
  readonly deadlineMs: number;
  /** The calls that it is made for, the first one first. */
  readonly chain: readonly string[];
}

/** Where a call's answers go. Exactly one of `answer`, `end` and `fail` is called, once, last. */
export interface CallOutput {
  /** The one message of a unary method. */
  answer(message: Uint8Array): void;
  /** One message of a stream; a promise when the caller has enough for now. */
  message(message: Uint8Array): Promise<void> | null;
  end(): void;
  fail(failure: Failure): void;
}

export interface DispatchedCall {
  /** Aborts the call's signal, and fails the call when it has not begun. */
  cancel(reason: Error): void;
}
