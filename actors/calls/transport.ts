/**
 * Sends calls out of a process: bytes to an actor (or to the process itself) at an address. A process uses its links
 * (channels.ts), a thread the port to its process (thread-port.ts); callers cannot tell the difference.
 */

import { type Abortable, onAbort } from '../../common/abort.ts';
import { toError } from '../../common/errors.ts';
import { toCallerError } from '../base/call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import { type CallOptions, type Calls, callsOf, type Method, type Service } from '../proto/protos.ts';
import { sendAll } from '../proto/request-stream.ts';
import type { CallSink, CallStart, StartedCall } from './transport/caller.ts';

export interface Transport {
  /** Starts a call; its sink receives the answers. */
  start(address: string, call: CallStart, sink: CallSink): StartedCall;
  /** Forgets an address whose process is gone, so that nothing reconnects to it. */
  drop(address: string): void;
}

/** Cancels a call before its answer: an AbortSignal, or a lighter equivalent. */
export interface CallSignal extends Abortable {
  readonly reason: unknown;
}

function throwIfAborted(signal: CallSignal | undefined): void {
  if (signal?.aborted === true) throw toError(signal.reason);
}

/** The input of a call: one request message, or those of a stream as they arrive. */
export interface Requests {
  readonly request: Uint8Array;
  readonly requests: AsyncIterable<Uint8Array> | null;
}

/** A method's request, or its requests, as bytes. */
export function encodeRequests(method: Method, input: object): Requests {
  if (!method.requestStream) return { request: method.requestSerialize(input), requests: null };
  const messages = input as AsyncIterable<object> | Iterable<object>;
  const requests = (async function* () {
    for await (const message of messages) yield method.requestSerialize(message);
  })();
  return { request: new Uint8Array(), requests };
}

/**
 * Starts a call and sends all its requests. If producing those throws, `fail` receives the error and the call is
 * cancelled.
 */
function startCall(
  transport: Transport,
  address: string,
  call: CallStart,
  requests: AsyncIterable<Uint8Array> | null,
  sink: CallSink & { fail(thrown: Error): void },
): StartedCall {
  if (requests === null) return transport.start(address, call, sink);
  let isOver = false;
  const streaming = { ...call, streamsRequests: true };
  const started = transport.start(address, streaming, {
    message: (bytes) => sink.message(bytes),
    end(failure) {
      isOver = true;
      sink.end(failure);
    },
  });
  sendAll(requests, started, () => isOver).catch((thrown: unknown) => {
    if (isOver) return;
    isOver = true;
    started.cancel();
    sink.fail(toError(thrown));
  });
  const cancel = () => {
    isOver = true;
    started.cancel();
  };
  return { ...started, cancel };
}

/** Calls a unary method once. @throws WireError, or the signal's reason, or what `requests` throws. */
export function callUnary(
  transport: Transport,
  address: string,
  call: CallStart,
  signal: CallSignal | undefined,
  requests: AsyncIterable<Uint8Array> | null = null,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    let answer: Uint8Array | null = null;
    let started: StartedCall | null = null; // a call that cannot be sent fails before it has an id
    const settle = onAbort(signal, () => {
      started?.cancel();
      reject(toError(signal?.reason));
    });
    started = startCall(transport, address, call, requests, {
      message: (bytes) => (answer = bytes),
      end(failure) {
        settle();
        if (failure !== null) reject(failure);
        else resolve(answer ?? new Uint8Array());
      },
      fail(thrown) {
        settle();
        reject(thrown);
      },
    });
  });
}

/**
 * Calls a server-streaming method once; ending the iteration cancels it. @throws WireError, or the signal's reason, or
 * what `requests` throws.
 */
export async function* callStream(
  transport: Transport,
  address: string,
  call: CallStart,
  signal: CallSignal | undefined,
  requests: AsyncIterable<Uint8Array> | null = null,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(signal);
  const inbox = new Inbox();
  const started = startCall(transport, address, call, requests, inbox);
  const stop = onAbort(signal, inbox.wake);
  try {
    for (;;) {
      throwIfAborted(signal);
      const message = inbox.take();
      if (message === null) return;
      if (message === undefined) await inbox.news();
      else {
        started.consumed();
        yield message;
      }
    }
  } finally {
    stop();
    started.cancel();
  }
}

/** The messages of a stream that have arrived and were not read yet. */
class Inbox implements CallSink {
  readonly #messages: Uint8Array[] = [];
  #ended: { readonly failure: Error | null } | null = null;
  #resolve: () => void = () => undefined;

  /** Lets the reader look again. */
  readonly wake = (): void => this.#resolve();

  message(bytes: Uint8Array): void {
    this.#messages.push(bytes);
    this.wake();
  }

  end(failure: Error | null): void {
    this.#ended = { failure };
    this.wake();
  }

  fail(thrown: Error): void {
    this.end(thrown);
  }

  /** The next message; undefined if there is none yet, null after the last one. @throws the failure of the call */
  take(): Uint8Array | null | undefined {
    const message = this.#messages.shift();
    if (message !== undefined || this.#ended === null) return message;
    if (this.#ended.failure !== null) throw this.#ended.failure;
    return null;
  }

  /** Resolves at the next call of `wake`. */
  news(): Promise<void> {
    return new Promise((resolve) => (this.#resolve = resolve));
  }
}

/** The methods that the process at an address serves itself: no actor, no retries. */
export function serviceCalls<Client, Handlers>(
  service: Service<Client, Handlers>,
  transport: Transport,
  address: string,
): Calls<Client> {
  const begin = (method: Method, input: object, { deadlineMs = DEFAULT_DEADLINE_MS }: CallOptions) => {
    const { request, requests } = encodeRequests(method, input);
    const limits = { deadlineMs: effectiveDeadlineMs(deadlineMs) };
    return { call: { actorId: '', incarnation: 0, method: method.path, request, ...limits }, requests };
  };
  return callsOf(service, {
    one: (method) => async (input, options) => {
      try {
        const { call, requests } = begin(method, input, options);
        const answer = await callUnary(transport, address, call, options.signal, requests);
        return method.responseDeserialize(answer as Buffer);
      } catch (thrown) {
        throw toCallerError(thrown);
      }
    },
    many: (method) =>
      async function* (input, options) {
        try {
          const { call, requests } = begin(method, input, options);
          const messages = callStream(transport, address, call, options.signal, requests);
          for await (const bytes of messages) yield method.responseDeserialize(bytes as Buffer);
        } catch (thrown) {
          throw toCallerError(thrown);
        }
      },
  });
}
