/** The targets of calls in this process. */

import type { Mailbox } from '../base/mailbox.ts';
import type { CallOutput, DispatchedCall, IncomingCall } from './call.ts';
import type { RawMethod } from './raw-methods.ts';

/** An actor (or the process itself): its methods by gRPC path, or the way to the thread that has them. */
export type Target = LocalTarget | ThreadTarget;

export interface LocalTarget {
  readonly kind: 'local';
  readonly methods: ReadonlyMap<string, RawMethod>;
  readonly mailbox: Mailbox;
  /** Groups of method paths; calls within a group wait only for each other. */
  readonly mailboxes?: ReadonlyMap<string, Mailbox>;
  readonly incarnation: number;
}

export interface ThreadTarget {
  readonly kind: 'thread';
  /** gRPC paths. */
  readonly methods: ReadonlySet<string>;
  dispatch(call: IncomingCall, output: CallOutput): DispatchedCall;
}
