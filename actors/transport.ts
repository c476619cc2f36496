/**
 * How calls leave a process: bytes to an actor (or to the process itself) at an address. A process uses its links
 * (channels.ts), a thread the port to its process (thread-port.ts); callers cannot tell.
 */

import { toError } from '../common/errors.ts';
import { toCallerError } from './call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from './call-scope.ts';
import type { CallOptions, Calls, Service } from './protos.ts';
import type { CallSink, CallStart, StartedCall } from './transport/caller.ts';

export interface Transport {
  /** Begins a call; its sink hears the answers. */
  start(address: string, call: CallStart, sink: CallSink): StartedCall;
  /** Forgets an address whose process is gone, so that nothing tries to reconnect to it. */
  drop(address: string): void;
}

/** What ends a call before its answer: an AbortSignal, or something lighter. */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

function throwIfAborted(signal: CallSignal | undefined): void {
  if (signal?.aborted === true) throw toError(signal.reason);
}

/** Calls a unary method once. @throws WireError, or the signal's reason. */
export function callUnary(
  transport: Transport,
  address: string,
  call: CallStart,
  signal: CallSignal | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    let answer: Uint8Array | null = null;
    const started = transport.start(address, call, {
      message: (bytes) => (answer = bytes),
      end(failure) {
        signal?.removeEventListener('abort', onAbort);
        if (failure !== null) reject(failure);
        else resolve(answer ?? new Uint8Array());
      },
    });
    const onAbort = () => {
      started.cancel();
      reject(toError(signal?.reason));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Calls a streaming method once; ending the iteration cancels it. @throws WireError, or the signal's reason. */
export async function* callStream(
  transport: Transport,
  address: string,
  call: CallStart,
  signal: CallSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(signal);
  const messages: Uint8Array[] = [];
  let ended: { readonly failure: Error | null } | null = null;
  let wake: () => void = () => undefined;
  const started = transport.start(address, call, {
    message(bytes) {
      messages.push(bytes);
      wake();
    },
    end(failure) {
      ended = { failure };
      wake();
    },
  });
  const onAbort = () => wake();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      throwIfAborted(signal);
      const message = messages.shift();
      if (message !== undefined) {
        started.consumed();
        yield message;
      } else if (ended !== null) {
        const { failure } = ended as { failure: Error | null };
        if (failure !== null) throw failure;
        return;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    started.cancel();
  }
}

/** The methods that a process serves itself at an address: no actor, no retries. */
export function serviceCalls<Client, Handlers>(
  service: Service<Client, Handlers>,
  transport: Transport,
  address: string,
): Calls<Client> {
  const calls: Record<string, unknown> = {};
  for (const [name, method] of service.methods) {
    const start = (request: object, { deadlineMs = DEFAULT_DEADLINE_MS }: CallOptions): CallStart => ({
      actorId: '',
      incarnation: 0,
      method: method.path,
      request: method.requestSerialize(request),
      deadlineMs: effectiveDeadlineMs(deadlineMs),
    });
    calls[name] = method.responseStream
      ? async function* (request: object, options: CallOptions = {}) {
          try {
            const messages = callStream(transport, address, start(request, options), options.signal);
            for await (const bytes of messages) yield method.responseDeserialize(bytes as Buffer);
          } catch (thrown) {
            throw toCallerError(thrown);
          }
        }
      : async (request: object, options: CallOptions = {}) => {
          try {
            const answer = await callUnary(transport, address, start(request, options), options.signal);
            return method.responseDeserialize(answer as Buffer);
          } catch (thrown) {
            throw toCallerError(thrown);
          }
        };
  }
  return calls as Calls<Client>;
}
