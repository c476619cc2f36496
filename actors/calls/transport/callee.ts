/**
 * The server half of all links of a process. It keeps each caller's calls by id, in progress or finished, until the
 * caller has their answers, so that a repeated call runs once. Calls of a caller that stays away are eventually
 * forgotten; repeating them after that is refused.
 */

import type { Dispatcher } from '../dispatcher.ts';
import type { CallOutput, DispatchedCall } from '../call.ts';
import { CallError, type Failure } from '../../base/call-errors.ts';
import { IncomingRequests, STREAM_WINDOW } from '../../proto/request-stream.ts';
import { checkSize, tooLarge } from './caller.ts';
import { type Channel, MAX_MESSAGE_BYTES } from './channel.ts';
import { type Call, type Frame, hasMessage, type Reply, type Request, toFailureMessage } from './frames.ts';

/** How long the calls of an unreachable caller continue; longer than callers try to reconnect. */
const ABSENCE_MS = 7000;
/** How many absent callers are remembered by id; one that returns after more than that many others is refused. */
const MAX_FORGOTTEN = 10_000;
/** Callers identify themselves by a UUID. */
const MAX_CALLER_ID = 36;

/** One call of one caller. */
class ServedCall implements CallOutput {
  readonly #session: Session;
  readonly #callId: number;
  /** Messages that the caller may not have yet, in order. */
  #kept: Reply[] = [];
  #sent = 0;
  #allowed: number;
  #end: Reply | null = null;
  #wake: () => void = () => undefined;
  dispatched: DispatchedCall | null = null;
  /** Null for a call with one request message. */
  readonly requests: IncomingRequests | null;

  constructor(session: Session, callId: number, { allowed, streamsRequests }: Call) {
    this.#session = session;
    this.#callId = callId;
    this.#allowed = allowed;
    this.requests = streamsRequests ? new IncomingRequests((count) => this.#grant(count)) : null;
  }

  get isFinished(): boolean {
    return this.#end !== null;
  }

  answer(message: Uint8Array): void {
    if (message.byteLength > MAX_MESSAGE_BYTES) return this.fail(tooLarge('response', message.byteLength));
    this.#finish({ callId: this.#callId, index: this.#sent, message, end: true });
  }

  message(message: Uint8Array): Promise<void> | null {
    checkSize('response', message);
    const reply = { callId: this.#callId, index: this.#sent++, message };
    this.#kept.push(reply);
    this.#session.send(reply);
    return this.#sent < this.#allowed ? null : new Promise((resolve) => (this.#wake = resolve));
  }

  end(): void {
    this.#finish({ callId: this.#callId, index: this.#sent, end: true });
  }

  fail(failure: Failure): void {
    this.#finish({ callId: this.#callId, index: this.#sent, end: true, failure: toFailureMessage(failure) });
  }

  /** The caller accepts up to `allowed` messages in total, and has received all but the last window of them. */
  allow(allowed: number): void {
    if (allowed <= this.#allowed) return;
    this.#allowed = allowed;
    const received = allowed - STREAM_WINDOW;
    while (this.#kept[0] !== undefined && this.#kept[0].index < received) this.#kept.shift();
    this.#wake();
  }

  /** The caller repeats the call: sends everything that it does not have yet. */
  repeat({ received, allowed }: Call): void {
    this.allow(allowed);
    if (this.requests !== null) this.#grant(this.requests.allowed);
    for (const reply of this.#kept) if (reply.index >= received) this.#session.send(reply);
    if (this.#end !== null) this.#session.send(this.#end);
  }

  /** The caller may send this many request messages in total. */
  #grant(allowed: number): void {
    if (this.#end === null) this.#session.send({ callId: this.#callId, index: this.#sent, allowed });
  }

  #finish(reply: Reply): void {
    if (this.#end !== null) return;
    this.#end = reply;
    this.#session.send(reply);
  }
}

/** All calls of one caller, that is, of one process to one address of this process. */
class Session {
  readonly #dispatcher: Dispatcher;
  /** Calls up to this id may have been forgotten. */
  readonly #forgottenUpTo: number;
  readonly #calls = new Map<number, ServedCall>();
  #channel: Channel;
  #connection: number;
  #answeredBelow = 0;
  #lastId = 0;
  #absence: NodeJS.Timeout | undefined;

  constructor(dispatcher: Dispatcher, channel: Channel, connection: number, forgottenUpTo: number) {
    this.#dispatcher = dispatcher;
    this.#channel = channel;
    this.#connection = connection;
    this.#forgottenUpTo = forgottenUpTo;
  }

  /** The highest id of a call that must not be repeated in another session; 0 when all have been answered. */
  get unansweredUpTo(): number {
    return this.#calls.size === 0 ? this.#forgottenUpTo : Math.max(this.#forgottenUpTo, this.#lastId);
  }

  onRequests({ connection, answeredBelow, requests }: Frame, channel: Channel): void {
    if (connection < this.#connection) return; // it arrived too late: the caller has repeated it on its new connection
    clearTimeout(this.#absence);
    this.#channel = channel;
    this.#connection = connection;
    this.#onAnswered(answeredBelow);
    for (const request of requests) this.#onRequest(request);
  }

  /** Gives the caller time to reconnect; then cancels its calls and calls back. */
  detach(channel: Channel, onGone: () => void): void {
    if (this.#channel !== channel) return;
    this.#absence = setTimeout(() => {
      onGone();
      this.end(new CallError('CANCELLED', 'the caller is gone'));
    }, ABSENCE_MS);
    this.#absence.unref();
  }

  send(reply: Reply): void {
    this.#channel.reply(reply);
  }

  end(reason: Error): void {
    clearTimeout(this.#absence);
    for (const served of this.#calls.values()) served.dispatched?.cancel(reason);
    this.#calls.clear();
  }

  #onRequest(request: Request): void {
    const { callId, call, cancel, allowed, index = 0, endAt } = request;
    const served = this.#calls.get(callId);
    if (call) {
      if (served !== undefined) served.repeat(call);
      else if (call.isRepeated && callId <= this.#forgottenUpTo) this.#refuse(callId, call);
      else if (callId >= this.#answeredBelow) this.#begin(callId, call);
    } else if (cancel) {
      served?.dispatched?.cancel(new CallError('CANCELLED', 'the caller cancelled'));
    } else if (hasMessage(request)) {
      served?.requests?.put(index, request.message);
    } else if (Object.hasOwn(request, 'endAt')) {
      served?.requests?.endAt(endAt!);
    } else if (allowed !== undefined) {
      served?.allow(allowed);
    }
  }

  #onAnswered(below: number): void {
    if (below <= this.#answeredBelow) return;
    this.#answeredBelow = below;
    for (const [callId, served] of this.#calls) {
      if (callId >= below) break;
      if (served.isFinished) this.#calls.delete(callId);
    }
  }

  #begin(callId: number, call: Call): void {
    const served = new ServedCall(this, callId, call);
    this.#calls.set(callId, served);
    this.#lastId = callId;
    const { actorId, incarnation, method, request, timeoutMs, chain } = call;
    const deadlineMs = timeoutMs === 0 ? Infinity : timeoutMs;
    served.dispatched = this.#dispatcher.dispatch(
      { actorId, incarnation, method, request, requests: served.requests, deadlineMs, chain },
      served,
    );
  }

  #refuse(callId: number, { received }: Call): void {
    this.send({ callId, index: received, end: true, failure: toFailureMessage(FORGOTTEN) });
  }
}

const FORGOTTEN: Failure = {
  code: 'UNAVAILABLE',
  message: `its caller was away for longer than ${ABSENCE_MS / 1000} s: the call may have run, its answer is lost`,
  kind: null,
};

export class Callee {
  readonly #dispatcher: Dispatcher;
  readonly #maxForgotten: number;
  readonly #sessions = new Map<string, Session>();
  /**
   * Callers that stayed away before they had all their answers, with the highest id of their calls. The oldest first.
   */
  readonly #forgotten = new Map<string, number>();
  #hasForgottenCallers = false;

  constructor(dispatcher: Dispatcher, maxForgotten = MAX_FORGOTTEN) {
    this.#dispatcher = dispatcher;
    this.#maxForgotten = maxForgotten;
  }

  /** Handles what a caller sends on a channel. */
  onRequests(frame: Frame, channel: Channel): void {
    const { callerId, connection } = frame;
    if (callerId.length > MAX_CALLER_ID) return; // not one of our callers
    let session = this.#sessions.get(callerId);
    if (session === undefined) {
      session = new Session(this.#dispatcher, channel, connection, this.#forgottenUpTo(frame));
      this.#sessions.set(callerId, session);
    }
    session.onRequests(frame, channel);
  }

  onClose(channel: Channel): void {
    for (const [callerId, session] of this.#sessions)
      session.detach(channel, () => this.#forget(callerId, session));
  }

  close(): void {
    for (const session of this.#sessions.values())
      session.end(new CallError('CANCELLED', 'the process is stopping'));
    this.#sessions.clear();
  }

  #forget(callerId: string, session: Session): void {
    this.#sessions.delete(callerId);
    if (session.unansweredUpTo === 0) return;
    this.#forgotten.set(callerId, session.unansweredUpTo);
    if (this.#forgotten.size <= this.#maxForgotten) return;
    this.#hasForgottenCallers = true;
    const [oldest] = this.#forgotten.keys();
    this.#forgotten.delete(oldest!);
  }

  #forgottenUpTo({ callerId, connection }: Frame): number {
    const isUnsure = this.#hasForgottenCallers && connection > 1;
    const known = this.#forgotten.get(callerId) ?? (isUnsure ? Infinity : 0);
    this.#forgotten.delete(callerId);
    return known;
  }
}
