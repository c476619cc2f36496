/**
 * The client half of a link to one address. It numbers the calls, enforces deadlines, and survives a broken connection
 * as long as the same process answers at the address. An intact stream loses nothing, so calls are repeated only on the
 * connection that follows a broken one.
 *
 * Calls run at most once: the callee knows its calls, and refuses those that it may have forgotten (callee.ts).
 */

import { toError } from '../../../common/errors.ts';
import { type Failure, type StatusName, WireError } from '../../base/call-errors.ts';
import { type Channel, MAX_MESSAGE_BYTES } from './channel.ts';
import { MAX_TIMER_MS } from '../../base/limits.ts';
import { statusName } from '../../base/status-codes.ts';
import { OutgoingRequests, type RequestSink, STREAM_WINDOW } from '../../proto/request-stream.ts';
import { type Call, fromFailureMessage, hasMessage, type Hello, type Reply, type Request } from './frames.ts';

/** How long an established connection that broke is redialled before its calls fail. */
const RECONNECT_MS = 5000;
const FIRST_REDIAL_MS = 50;

/** Receives one call's answers. */
export interface CallSink {
  message(bytes: Uint8Array): void;
  /** Called once, last; null for success. */
  end(failure: WireError | null): void;
}

export interface CallStart {
  readonly actorId: string;
  /** 0 for any. */
  readonly incarnation: number;
  /** gRPC path. */
  readonly method: string;
  /** Empty when request messages follow. */
  readonly request: Uint8Array;
  readonly streamsRequests?: boolean;
  /** The chain of calls that led to it; empty by default. */
  readonly chain?: readonly string[];
  /** Milliseconds from now; Infinity for none. */
  readonly deadlineMs: number;
}

/** A call in progress, as its caller holds it; carries the request messages of a client-streaming call. */
export interface StartedCall extends RequestSink {
  /** Cancels the call; its sink is not called again. */
  cancel(): void;
  /** One more message was consumed: the callee may send another. */
  consumed(): void;
}

interface Pending {
  readonly id: number;
  readonly call: Call;
  readonly sink: CallSink;
  /** Request messages of a client-streaming call; null for a single request. */
  readonly requests: OutgoingRequests | null;
  readonly endMs: number;
  readonly timer: NodeJS.Timeout | undefined;
  /** Whether the process at the address may have received it. */
  isSent: boolean;
}

export class Caller {
  /** Identifies this numbering of calls. */
  readonly #id = crypto.randomUUID();
  readonly #dial: () => Channel;
  readonly #address: string;
  readonly #pending = new Map<number, Pending>();
  /** Sent calls that were cancelled while there was no connection to say so. */
  readonly #cancelled = new Set<number>();
  #channel: Channel | null = null;
  #connections = 0;
  /** Whether calls may be sent: at once on the first connection, only after the peer's hello on a later one. */
  #isReady = false;
  #processId: string | null = null;
  #lastId = 0;
  #redial: NodeJS.Timeout | undefined;
  #brokenMs: number | null = null;
  #redialMs = FIRST_REDIAL_MS;
  #isClosed = false;

  constructor(address: string, dial: () => Channel) {
    this.#address = address;
    this.#dial = dial;
  }

  start(start: CallStart, sink: CallSink): StartedCall {
    const { request, streamsRequests = false, chain = [], deadlineMs } = start;
    if (this.#isClosed) throw new Error(`the link to ${this.#address} is closed`);
    if (request.byteLength > MAX_MESSAGE_BYTES) {
      sink.end(new WireError(tooLarge('request', request.byteLength)));
      return NOT_STARTED;
    }
    const id = ++this.#lastId;
    const { actorId, incarnation, method } = start;
    const call: Call = {
      ...{ actorId, incarnation, method, request, streamsRequests, chain },
      ...{ timeoutMs: leftMs(deadlineMs), allowed: STREAM_WINDOW, received: 0, isRepeated: false },
    };
    const requests = streamsRequests ? this.#outgoing(id) : null;
    const expire = () => this.#expire(id);
    const timer = deadlineMs > MAX_TIMER_MS ? undefined : setTimeout(expire, Math.ceil(call.timeoutMs));
    const endMs = performance.now() + deadlineMs;
    const pending: Pending = { id, call, sink, requests, endMs, timer, isSent: false };
    this.#pending.set(id, pending);
    if (this.#channel === null && this.#redial === undefined) this.#connect();
    if (this.#isReady) this.#send(pending);
    return {
      cancel: () => this.#cancel(id),
      consumed: () => this.#consumed(pending),
      send: (message) => {
        checkSize('request', message);
        return requests?.put(message) ?? null;
      },
      endRequests: () => requests?.end(),
    };
  }

  #outgoing(id: number): OutgoingRequests {
    return new OutgoingRequests((index, message) =>
      this.#say({ callId: id, ...(message === null ? { endAt: index } : { index, message }) }),
    );
  }

  /** Uses a channel that the other process opened, unless there is one already. */
  adopt(channel: Channel, hello: Hello): void {
    if (this.#isClosed || (this.#channel !== null && !this.#channel.isClosed)) return;
    clearTimeout(this.#redial);
    this.#redial = undefined;
    this.#use(channel);
    this.onHello(hello);
  }

  onHello({ processId }: Hello): void {
    const isAnother = this.#processId !== null && this.#processId !== processId;
    this.#processId = processId;
    this.#brokenMs = null;
    this.#redialMs = FIRST_REDIAL_MS;
    if (isAnother) {
      this.#cancelled.clear();
      const failure = unanswered('UNAVAILABLE', 'another process now answers at its address');
      for (const { id, isSent } of [...this.#pending.values()]) if (isSent) this.#settle(id, failure);
    }
    if (this.#isReady) return;
    this.#isReady = true;
    for (const callId of this.#cancelled) this.#say({ callId, cancel: true });
    this.#cancelled.clear();
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  onReply(reply: Reply): void {
    const pending = this.#pending.get(reply.callId);
    if (pending === undefined) return;
    const { call, sink } = pending;
    if (reply.allowed !== undefined) pending.requests?.allow(reply.allowed);
    if (reply.index !== call.received) return; // it overtook the repetition of the call, which will bring it again
    if (hasMessage(reply)) {
      call.received++;
      sink.message(reply.message);
    }
    if (reply.end)
      this.#settle(reply.callId, reply.failure ? new WireError(fromFailureMessage(reply.failure)) : null);
  }

  onClose(channel: Channel, error: Error | null): void {
    if (this.#channel !== channel) return;
    const stood = this.#processId !== null;
    this.#channel = null;
    this.#isReady = false;
    if (this.#isClosed || this.#pending.size === 0) return;
    const refusal = refusalOf(error);
    if (refusal !== null) return this.#failAll(new WireError(refusal));
    const nowMs = performance.now();
    this.#brokenMs ??= nowMs;
    const reason = error?.message ?? 'the other process ended it';
    if (!stood || nowMs - this.#brokenMs > RECONNECT_MS) {
      this.#brokenMs = null;
      return this.#failAll(unanswered('UNAVAILABLE', `no connection to ${this.#address} (${reason})`));
    }
    this.#redial = setTimeout(() => {
      this.#redial = undefined;
      if (this.#pending.size > 0) this.#connect();
    }, this.#redialMs);
    this.#redialMs = Math.min(1000, this.#redialMs * 2);
  }

  /** Every call below this id has been answered or cancelled. */
  get answeredBelow(): number {
    const [oldest] = this.#pending.keys();
    return oldest ?? this.#lastId + 1;
  }

  /** Fails every call. The link cannot be used afterwards. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#redial);
    this.#failAll(unanswered('UNAVAILABLE', 'the link was closed'));
    this.#channel?.close();
    this.#channel = null;
  }

  #connect(): void {
    try {
      this.#use(this.#dial());
      this.#isReady = this.#processId === null;
    } catch (thrown) {
      const reason = `no connection to ${this.#address} (${toError(thrown).message})`;
      this.#failAll(unanswered('UNAVAILABLE', reason));
    }
  }

  #use(channel: Channel): void {
    channel.caller = { id: this.#id, connection: ++this.#connections };
    this.#channel = channel;
  }

  /** Does nothing without a connection: the repeated call will carry everything that still matters. */
  #say(request: Request): void {
    if (this.#isReady) this.#channel?.request(request);
  }

  #send(pending: Pending): void {
    const { id, call, requests, endMs } = pending;
    call.timeoutMs = leftMs(endMs - performance.now());
    call.isRepeated = pending.isSent;
    pending.isSent = true;
    this.#say({ callId: id, call });
    requests?.repeat();
  }

  #expire(id: number): void {
    this.#tellCancelled(id);
    this.#settle(id, unanswered('DEADLINE_EXCEEDED', 'the deadline passed'));
  }

  #cancel(id: number): void {
    if (!this.#pending.has(id)) return;
    this.#tellCancelled(id);
    this.#forget(id);
  }

  #tellCancelled(id: number): void {
    if (this.#isReady) this.#say({ callId: id, cancel: true });
    else if (this.#pending.get(id)!.isSent) this.#cancelled.add(id);
  }

  #consumed({ id, call }: Pending): void {
    call.allowed++;
    // Grants half a window at a time: fewer, larger messages.
    if (call.allowed % (STREAM_WINDOW / 2) === 0 && this.#pending.has(id))
      this.#say({ callId: id, allowed: call.allowed });
  }

  #settle(id: number, failure: WireError | null): void {
    this.#forget(id)?.sink.end(failure);
  }

  #forget(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    pending.requests?.close();
    this.#pending.delete(id);
    return pending;
  }

  #failAll(failure: WireError): void {
    this.#cancelled.clear();
    for (const id of [...this.#pending.keys()]) this.#settle(id, failure);
  }
}

/** A call that has already failed. */
const NOT_STARTED: StartedCall = {
  cancel: () => undefined,
  consumed: () => undefined,
  send: () => null,
  endRequests: () => undefined,
};

/** Why the other process refuses this one; null when it is merely unreachable. */
function refusalOf(error: Error | null): Failure | null {
  if (error === null || !('code' in error) || typeof error.code !== 'number') return null;
  const code = statusName(error.code);
  const isRefusal = code === 'UNAUTHENTICATED' || code === 'PERMISSION_DENIED' || code === 'UNIMPLEMENTED';
  return isRefusal ? { code, message: error.message, kind: 'status' } : null;
}

/** The failure of a message that cannot be sent. */
export function tooLarge(what: 'request' | 'response', sizeBytes: number): Failure {
  const message = `a ${what} of ${sizeBytes} bytes; a message holds at most ${MAX_MESSAGE_BYTES}: put the rest as an object`;
  return { code: 'OUT_OF_RANGE', message, kind: 'status' }; // RESOURCE_EXHAUSTED would invite a retry
}

/** @throws WireError for a message that is too large to be sent. */
export function checkSize(what: 'request' | 'response', { byteLength }: Uint8Array): void {
  if (byteLength > MAX_MESSAGE_BYTES) throw new WireError(tooLarge(what, byteLength));
}

function unanswered(code: StatusName, message: string): WireError {
  return new WireError({ code, message, kind: null });
}

/** A deadline as a message encodes it: 0 for none. */
function leftMs(deadlineMs: number): number {
  return Number.isFinite(deadlineMs) ? Math.max(0.001, deadlineMs) : 0;
}
