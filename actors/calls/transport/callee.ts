/**
 * The answering half of all links of a process. Knows each caller's calls by id, in progress or finished, so that a
 * call that arrives twice runs once and its answer can be given again.
 */

import type { Dispatcher } from '../dispatcher.ts';
import type { CallOutput, DispatchedCall } from '../call.ts';
import { CallError } from '../../base/call-errors.ts';
import type { Failure } from '../../base/call-errors.ts';
import { IncomingRequests, STREAM_WINDOW } from '../../proto/request-stream.ts';
import { tooLarge } from './caller.ts';
import { MAX_MESSAGE_BYTES } from './channel.ts';
import type { Channel } from './channel.ts';
import { hasMessage, toFailureMessage } from './frames.ts';
import type { Call, Reply, Request } from './frames.ts';

/** How long the calls of a caller that is out of reach go on; longer than callers try to come back. */
const ABSENCE_MS = 7000;

/** One call of one caller. */
class ServedCall implements CallOutput {
  readonly #session: Session;
  readonly #callId: number;
  /** Messages that the caller may lack still, in order. */
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
    if (message.byteLength > MAX_MESSAGE_BYTES) throw responseTooLarge(message.byteLength);
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

  /** The caller takes up to `allowed` messages altogether, and has all but the last window of them. */
  allow(allowed: number): void {
    if (allowed <= this.#allowed) return;
    this.#allowed = allowed;
    const received = allowed - STREAM_WINDOW;
    while (this.#kept[0] !== undefined && this.#kept[0].index < received) this.#kept.shift();
    this.#wake();
  }

  /** The caller asks again: says again whatever it lacks. */
  repeat({ received, allowed }: Call): void {
    this.allow(allowed);
    if (this.requests !== null) this.#grant(this.requests.allowed);
    for (const reply of this.#kept) if (reply.index >= received) this.#session.send(reply);
    if (this.#end !== null) this.#session.send(this.#end);
  }

  /** The caller may have sent so many request messages altogether. */
  #grant(allowed: number): void {
    if (this.#end === null) this.#session.send({ callId: this.#callId, index: this.#sent, allowed });
  }

  #finish(reply: Reply): void {
    if (this.#end !== null) return;
    this.#end = reply;
    this.#session.send(reply);
  }
}

/** All calls of one caller: of one process, that is, to one address of this one. */
class Session {
  readonly #dispatcher: Dispatcher;
  readonly #calls = new Map<number, ServedCall>();
  #channel: Channel;
  #answeredBelow = 0;
  #absence: NodeJS.Timeout | undefined;

  constructor(dispatcher: Dispatcher, channel: Channel) {
    this.#dispatcher = dispatcher;
    this.#channel = channel;
  }

  attach(channel: Channel): void {
    if (this.#channel === channel && this.#absence === undefined) return;
    clearTimeout(this.#absence);
    this.#absence = undefined;
    this.#channel = channel;
  }

  /** Gives the caller time to come back; then gives its calls up and calls back. */
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

  onRequest(request: Request): void {
    const { callId, call, cancel, allowed, index = 0, endAt } = request;
    const served = this.#calls.get(callId);
    if (call) {
      if (served !== undefined) served.repeat(call);
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

  onAnswered(below: number): void {
    if (below <= this.#answeredBelow) return;
    this.#answeredBelow = below;
    for (const [callId, served] of this.#calls) {
      if (callId >= below) break;
      if (served.isFinished) this.#calls.delete(callId);
    }
  }

  end(reason: Error): void {
    clearTimeout(this.#absence);
    for (const served of this.#calls.values()) served.dispatched?.cancel(reason);
    this.#calls.clear();
  }

  #begin(callId: number, call: Call): void {
    const served = new ServedCall(this, callId, call);
    this.#calls.set(callId, served);
    const { actorId, incarnation, method, request, timeoutMs, chain } = call;
    const deadlineMs = timeoutMs === 0 ? Infinity : timeoutMs;
    served.dispatched = this.#dispatcher.dispatch(
      { actorId, incarnation, method, request, requests: served.requests, deadlineMs, chain },
      served,
    );
  }
}

export class Callee {
  readonly #dispatcher: Dispatcher;
  readonly #sessions = new Map<string, Session>();

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  /** The session of a caller, which now speaks on `channel`. */
  session(callerId: string, channel: Channel): Session {
    let session = this.#sessions.get(callerId);
    if (session === undefined) {
      session = new Session(this.#dispatcher, channel);
      this.#sessions.set(callerId, session);
    }
    session.attach(channel);
    return session;
  }

  onClose(channel: Channel): void {
    for (const [callerId, session] of this.#sessions) {
      session.detach(channel, () => this.#sessions.delete(callerId));
    }
  }

  close(): void {
    for (const session of this.#sessions.values())
      session.end(new CallError('CANCELLED', 'the process is stopping'));
    this.#sessions.clear();
  }
}

export type { Session };

function responseTooLarge(sizeBytes: number): CallError {
  const { code, message } = tooLarge('response', sizeBytes);
  return new CallError(code, message);
}
