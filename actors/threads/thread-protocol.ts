/** Messages between a thread host's main thread and an actor's thread, over the actor's port. */

import type { MessagePort } from 'node:worker_threads';
import type { ActorEnvironment } from '../status/actor-environment.ts';
import type { Failure } from '../base/call-errors.ts';
import type { IncomingCall } from '../calls/call.ts';
import { OutgoingRequests } from '../proto/request-stream.ts';
import type { IncomingRequests } from '../proto/request-stream.ts';
import type { CallStart } from '../calls/transport/caller.ts';

/** `workerData` of a thread. */
export interface ThreadKind {
  /** Whether it is a spare, without an actor yet. */
  readonly isSpare: boolean;
}

/** The first message to a thread: the actor that it is to be. */
export interface ThreadData {
  /** Its end of the port for all further messages. */
  readonly port: MessagePort;
  readonly environment: ActorEnvironment;
  /** Absolute path of its program. */
  readonly entry: string;
  readonly logPath: string;
  /** host:port of the host's gRPC server. */
  readonly address: string;
  /** host:port and path under which the host serves this thread's metrics. */
  readonly metricsAddress: string;
}

/** Calls to the actor, by the host's number; and events of the actor's own calls, by its number. */
export type ToThread =
  | { readonly kind: 'dispatch'; readonly id: number; readonly call: PostedCall }
  | PostedRequest
  | {
      readonly kind: 'cancel';
      readonly id: number;
      readonly reason: string;
      readonly code: 'CANCELLED' | 'UNAVAILABLE';
    }
  | { readonly kind: 'room'; readonly id: number }
  | RequestsAllowed
  | { readonly kind: 'message'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly id: number; readonly failure: Failure | null }
  /** The host has no description of the actor's service yet. */
  | { readonly kind: 'describe' }
  /** Plain gRPC clients can reach the actor. */
  | { readonly kind: 'exposed' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'metrics'; readonly id: number };

export type FromThread =
  /** The actor serves; its host sends heartbeats to the node at this interval. */
  | { readonly kind: 'activity'; readonly memory: SharedArrayBuffer; readonly everyMs: number }
  | { readonly kind: 'serving'; readonly methods: readonly string[]; readonly serviceName: string }
  | { readonly kind: 'described'; readonly service: string }
  | { readonly kind: 'answer'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'output'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'done'; readonly id: number; readonly failure: Failure | null }
  | { readonly kind: 'start'; readonly id: number; readonly address: string; readonly call: CallStart }
  | PostedRequest
  | RequestsAllowed
  | { readonly kind: 'give-up'; readonly id: number }
  | { readonly kind: 'consumed'; readonly id: number }
  | { readonly kind: 'drop'; readonly address: string }
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string };

/** A call as it is posted; if it streams its requests, they follow. */
export type PostedCall = Omit<IncomingCall, 'requests'> & { readonly streamsRequests: boolean };

/** A request message of a client-streaming call, by its number; null says that there are `index` of them. */
export interface PostedRequest {
  readonly kind: 'request';
  readonly id: number;
  readonly index: number;
  readonly message: Uint8Array | null;
}

/** Total number of request messages that may have been posted. */
export interface RequestsAllowed {
  readonly kind: 'requests-allowed';
  readonly id: number;
  readonly allowed: number;
}

/** Requests that are posted to the other side of a port. */
export function postingRequests(
  id: number,
  post: (message: PostedRequest, bytes?: Uint8Array<ArrayBuffer>) => void,
): OutgoingRequests {
  return new OutgoingRequests((index, message) => {
    if (message === null) return post({ kind: 'request', id, index, message });
    const bytes = Uint8Array.from(message); // the kept copy stays here
    post({ kind: 'request', id, index, message: bytes }, bytes);
  });
}

/** Passes a posted request to its call. */
export function takeRequest({ index, message }: PostedRequest, requests: IncomingRequests | null): void {
  if (message === null) requests?.endAt(index);
  else requests?.put(index, message);
}

/** Bytes that may be transferred: a view of a larger buffer is copied first. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  const isWhole = bytes.byteOffset === 0 && bytes.byteLength === buffer.byteLength && !Buffer.isBuffer(bytes);
  return (isWhole ? bytes : Uint8Array.from(bytes)) as Uint8Array<ArrayBuffer>;
}
