/** What answers calls in this process. */

import type { Mailbox } from '../base/mailbox.ts';
import type { CallOutput, DispatchedCall, IncomingCall } from './call.ts';
import type { RawMethod } from './raw-methods.ts';

/** An actor (or the process itself): its methods here by gRPC path, or how to reach the thread that has them. */
export type Target = LocalTarget | ThreadTarget;

export interface LocalTarget {
  readonly kind: 'local';
  readonly methods: ReadonlyMap<string, RawMethod>;
  readonly mailbox: Mailbox;
  /** Methods, by path, whose calls wait for each other and not for those of other methods. */
  readonly mailboxes?: ReadonlyMap<string, Mailbox>;
  readonly incarnation: number;
}

export interface ThreadTarget {
  readonly kind: 'thread';
  /** gRPC paths. */
  readonly methods: ReadonlySet<string>;
  dispatch(call: IncomingCall, output: CallOutput): DispatchedCall;
}
