/** A call as it arrives over any transport, and the destination of its answers. Requests and responses are bytes. */

import type { Log } from '../../common/log.ts';
import type { Failure } from '../base/call-errors.ts';

/** The context of a call for its handler. */
export interface CallContext {
  /** Aborted when the caller cancels, the deadline passes or the process stops. */
  readonly signal: AbortSignal;
  /** Time left to the caller when the call arrived, milliseconds; Infinity when it set no deadline. */
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
  /** Source of the requests of a client-streaming call; null for a call with the single request `request`. */
  readonly requests: AsyncIterable<Uint8Array> | null;
  /** Infinity for no deadline. */
  readonly deadlineMs: number;
  /** The chain of calls that led to this one, the first one first. */
  readonly chain: readonly string[];
}

/** Receives a call's answers. Exactly one of `answer`, `end` and `fail` is called, once, last. */
export interface CallOutput {
  /** The only response of a unary method. */
  answer(message: Uint8Array): void;
  /**
   * One response of a stream; returns a promise when the caller cannot take more yet. @throws CallError for one that
   * is too large
   */
  message(message: Uint8Array): Promise<void> | null;
  end(): void;
  fail(failure: Failure): void;
}

export interface DispatchedCall {
  /** Aborts the call's signal, and fails the call if it has not begun. */
  cancel(reason: Error): void;
}
