/**
 * The calling half of a link to one address: numbers the calls, sends them again while no answer comes, keeps
 * deadlines, and survives a broken connection as long as the same process answers behind the address.
 *
 * At most once: the callee knows a call that it has (callee.ts), so sending again never runs anything twice.
 */

import { toError } from '../../../common/errors.ts';
import { WireError } from '../../base/call-errors.ts';
import type { Failure, StatusName } from '../../base/call-errors.ts';
import { MAX_MESSAGE_BYTES } from './channel.ts';
import type { Channel } from './channel.ts';
import { MAX_TIMER_MS } from '../../base/limits.ts';
import { statusName } from '../../base/status-codes.ts';
import { OutgoingRequests, STREAM_WINDOW } from '../../proto/request-stream.ts';
import type { RequestSink } from '../../proto/request-stream.ts';
import { fromFailureMessage, hasMessage } from './frames.ts';
import type { Call, Hello, Reply } from './frames.ts';

/** How long a connection that once stood is dialled again before its calls fail. */
const RECONNECT_MS = 5000;
const FIRST_REDIAL_MS = 50;
const RESEND_MS = 1000;
const RESEND_FACTOR = 1.5;
const MAX_RESEND_MS = 10_000;
const SWEEP_MS = 500;
/** How long a gap in a stream may close by itself. */
const GAP_MS = 50;

/** Hears one call's answers. */
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
  /** The calls that it is made for; none by default. */
  readonly chain?: readonly string[];
  /** Milliseconds from now; Infinity for none. */
  readonly deadlineMs: number;
}

/** A call in progress, as its caller holds it; request messages go to one that streams them. */
export interface StartedCall extends RequestSink {
  /** Gives the call up; its sink hears nothing more. */
  cancel(): void;
  /** One more message was taken: the callee may send another. */
  consumed(): void;
}

interface Pending {
  readonly id: number;
  readonly call: Call;
  readonly sink: CallSink;
  /** Request messages of a call that streams them; null for one that has one. */
  readonly requests: OutgoingRequests | null;
  readonly endMs: number;
  readonly timer: NodeJS.Timeout | undefined;
  sentMs: number;
  resendMs: number;
  gapTimer: NodeJS.Timeout | undefined;
}

export class Caller {
  /** Names this numbering of calls. */
  readonly #id = crypto.randomUUID();
  readonly #dial: () => Channel;
  readonly #address: string;
  readonly #pending = new Map<number, Pending>();
  #channel: Channel | null = null;
  /** Whether calls may be sent: at once on a first dial, after its hello on a later one. */
  #isReady = false;
  #processId: string | null = null;
  #lastId = 0;
  #sweep: NodeJS.Timeout | undefined;
  #redial: NodeJS.Timeout | undefined;
  #brokenMs: number | null = null;
  #redialMs = FIRST_REDIAL_MS;
  #isClosed = false;

  constructor(address: string, dial: () => Channel) {
    this.#address = address;
    this.#dial = dial;
  }

  start(start: CallStart, sink: CallSink): StartedCall {
    const { actorId, incarnation, method, request, streamsRequests = false, chain = [], deadlineMs } = start;
    if (this.#isClosed) throw new Error(`the link to ${this.#address} is closed`);
    if (request.byteLength > MAX_MESSAGE_BYTES) {
      sink.end(new WireError(tooLarge('request', request.byteLength)));
      return NOT_STARTED;
    }
    const id = ++this.#lastId;
    const timeoutMs = Number.isFinite(deadlineMs) ? Math.max(0.001, deadlineMs) : 0;
    const call: Call = {
      actorId,
      incarnation,
      method,
      request,
      timeoutMs,
      allowed: STREAM_WINDOW,
      received: 0,
      streamsRequests,
      chain,
    };
    const nowMs = performance.now();
    const expire = () => {
      this.#channel?.request({ callId: id, cancel: true });
      this.#settle(id, unanswered('DEADLINE_EXCEEDED', 'the deadline passed'));
    };
    const timer =
      deadlineMs > MAX_TIMER_MS ? undefined : setTimeout(expire, Math.max(0, Math.ceil(deadlineMs)));
    const requests = streamsRequests ? this.#outgoing(id) : null;
    const pending: Pending = {
      id,
      call,
      sink,
      requests,
      endMs: nowMs + deadlineMs,
      timer,
      sentMs: nowMs,
      resendMs: RESEND_MS,
      gapTimer: undefined,
    };
    this.#pending.set(id, pending);
    this.#sweep ??= setInterval(() => this.#resendSilent(), SWEEP_MS).unref();
    if (this.#channel === null && this.#redial === undefined) this.#connect();
    if (this.#isReady) this.#channel?.request({ callId: id, call });
    return {
      cancel: () => this.#cancel(id),
      consumed: () => this.#consumed(id),
      send: (message) => {
        if (message.byteLength > MAX_MESSAGE_BYTES)
          throw new WireError(tooLarge('request', message.byteLength));
        return requests?.put(message) ?? null;
      },
      endRequests: () => requests?.end(),
    };
  }

  #outgoing(id: number): OutgoingRequests {
    return new OutgoingRequests((index, message) => {
      if (!this.#isReady) return; // sent with the call
      const said = message === null ? { endAt: index } : { index, message };
      this.#channel?.request({ callId: id, ...said });
    });
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
    if (isAnother) this.#failAll('another process answers at its address');
    this.#processId = processId;
    this.#brokenMs = null;
    this.#redialMs = FIRST_REDIAL_MS;
    if (this.#isReady) return;
    this.#isReady = true;
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  onReply(reply: Reply): void {
    const pending = this.#pending.get(reply.callId);
    if (pending === undefined) return;
    const { call, sink } = pending;
    if (reply.allowed !== undefined) pending.requests?.allow(reply.allowed);
    if (reply.index > call.received) return this.#noticeGap(pending, reply.index);
    pending.sentMs = performance.now();
    pending.resendMs = RESEND_MS;
    if (hasMessage(reply) && reply.index === call.received) {
      call.received++;
      sink.message(reply.message);
    }
    const count = reply.index + (hasMessage(reply) ? 1 : 0);
    if (reply.end && (reply.failure || count === call.received)) {
      this.#settle(reply.callId, reply.failure ? new WireError(fromFailureMessage(reply.failure)) : null);
    }
  }

  onClose(channel: Channel, error: Error | null): void {
    if (this.#channel !== channel) return;
    const stood = this.#processId !== null;
    this.#channel = null;
    this.#isReady = false;
    if (this.#isClosed || this.#pending.size === 0) return;
    const refusal = refusalOf(error);
    if (refusal !== null) {
      for (const id of [...this.#pending.keys()]) this.#settle(id, new WireError(refusal));
      return;
    }
    const nowMs = performance.now();
    this.#brokenMs ??= nowMs;
    const reason = error?.message ?? 'the other process ended it';
    if (!stood || nowMs - this.#brokenMs > RECONNECT_MS) {
      this.#brokenMs = null;
      this.#failAll(`no connection to ${this.#address} (${reason})`);
      return;
    }
    this.#redial = setTimeout(() => {
      this.#redial = undefined;
      if (this.#pending.size > 0) this.#connect();
    }, this.#redialMs);
    this.#redialMs = Math.min(1000, this.#redialMs * 2);
  }

  /** Every call below this id is answered, or given up. */
  get answeredBelow(): number {
    const [oldest] = this.#pending.keys();
    return oldest ?? this.#lastId + 1;
  }

  /** Fails every call. The link is of no use afterwards. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#redial);
    clearInterval(this.#sweep);
    this.#failAll('the link was closed');
    this.#channel?.close();
    this.#channel = null;
  }

  #connect(): void {
    this.#isReady = this.#processId === null;
    try {
      this.#use(this.#dial());
    } catch (thrown) {
      this.#failAll(`no connection to ${this.#address} (${toError(thrown).message})`);
    }
  }

  #use(channel: Channel): void {
    channel.callerId = this.#id;
    this.#channel = channel;
  }

  #send(pending: Pending): void {
    const nowMs = performance.now();
    pending.sentMs = nowMs;
    if (Number.isFinite(pending.endMs)) pending.call.timeoutMs = Math.max(0.001, pending.endMs - nowMs);
    this.#channel?.request({ callId: pending.id, call: pending.call });
    pending.requests?.repeat();
  }

  #resendSilent(): void {
    if (this.#pending.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
      return;
    }
    if (!this.#isReady) return;
    const nowMs = performance.now();
    for (const pending of this.#pending.values()) {
      if (nowMs - pending.sentMs < pending.resendMs) continue;
      pending.resendMs = Math.min(MAX_RESEND_MS, pending.resendMs * RESEND_FACTOR);
      this.#send(pending);
    }
  }

  /** A message before this one was lost or overtaken: unless it comes soon, the call is sent again, to get it too. */
  #noticeGap(pending: Pending, index: number): void {
    pending.gapTimer ??= setTimeout(() => {
      pending.gapTimer = undefined;
      if (this.#isReady && pending.call.received <= index && this.#pending.has(pending.id))
        this.#send(pending);
    }, GAP_MS);
  }

  #cancel(id: number): void {
    if (!this.#pending.has(id)) return;
    this.#channel?.request({ callId: id, cancel: true });
    this.#forget(id);
  }

  #consumed(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    pending.call.allowed++;
    // Half a window at a time: fewer, larger grants.
    if (pending.call.allowed % (STREAM_WINDOW / 2) === 0) {
      this.#channel?.request({ callId: id, allowed: pending.call.allowed });
    }
  }

  #settle(id: number, failure: WireError | null): void {
    const pending = this.#forget(id);
    pending?.sink.end(failure);
  }

  #forget(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    clearTimeout(pending.gapTimer);
    pending.requests?.close();
    this.#pending.delete(id);
    return pending;
  }

  #failAll(reason: string): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id, unanswered('UNAVAILABLE', reason));
  }
}

/** A call that has failed already. */
const NOT_STARTED: StartedCall = {
  cancel: () => undefined,
  consumed: () => undefined,
  send: () => null,
  endRequests: () => undefined,
};

/** Why the other process wants nothing of this one; null when it is merely out of reach. */
function refusalOf(error: Error | null): Failure | null {
  if (error === null || !('code' in error) || typeof error.code !== 'number') return null;
  const code = statusName(error.code);
  const isRefusal = code === 'UNAUTHENTICATED' || code === 'PERMISSION_DENIED' || code === 'UNIMPLEMENTED';
  return isRefusal ? { code, message: error.message, kind: 'status' } : null;
}

/** The failure of a message that cannot be sent. */
export function tooLarge(what: 'request' | 'response', sizeBytes: number): Failure {
  const message = `a ${what} of ${sizeBytes} bytes; at most ${MAX_MESSAGE_BYTES} go in a message: put the rest as an object`;
  return { code: 'OUT_OF_RANGE', message, kind: 'status' }; // RESOURCE_EXHAUSTED would invite another try
}

function unanswered(code: StatusName, message: string): WireError {
  return new WireError({ code, message, kind: null });
}
