/**
 * Plain gRPC calls as promises and async iterables, with a deadline and an AbortSignal. One connection per address
 * and process, shared by every service behind it.
 */

import * as grpc from '@grpc/grpc-js';
import { toError } from '../common/errors.ts';
import { fromServiceError, toCallerError } from './call-errors.ts';
import type { WireError } from './call-errors.ts';
import type { CallOptions, Calls, Method, Service } from './protos.ts';

/** Deadline of a call that names none. */
export const DEFAULT_DEADLINE_MS = 60_000;

// The client's window bounds bytes in flight towards it; 8 MiB lets a receiver pull at memory speed on loopback.
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.enable_retries': 0, // one layer retries: the actor handle
  'grpc.enable_http_proxy': 0,
};

/** Connections by address. `close` when the process has no more calls to make. */
export class ChannelPool {
  readonly #clients = new Map<string, grpc.Client>();

  /** A client of the shared connection to host:port. */
  client(address: string): grpc.Client {
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new grpc.Client(address, grpc.credentials.createInsecure(), CHANNEL_OPTIONS);
      this.#clients.set(address, client);
    }
    return client;
  }

  /** Forgets an address whose process is gone, so that nothing tries to reconnect to it. */
  drop(address: string): void {
    this.#clients.get(address)?.close();
    this.#clients.delete(address);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

function deadlineOf(options: CallOptions): grpc.CallOptions {
  const { deadlineMs = DEFAULT_DEADLINE_MS } = options;
  return deadlineMs === Infinity ? {} : { deadline: Date.now() + deadlineMs };
}

/** The signal's reason if it was aborted, else what the wire said. */
function failure(error: unknown, signal: AbortSignal | undefined): Error {
  return signal?.aborted === true ? toError(signal.reason) : fromServiceError(error as grpc.ServiceError);
}

/** Calls a unary method once. @throws WireError, or the signal's reason. */
export function callUnary(
  client: grpc.Client,
  method: Method,
  request: object,
  options: CallOptions,
): Promise<object> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = () => call.cancel();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new grpc.Metadata(),
      deadlineOf(options),
      (error, response) => {
        signal?.removeEventListener('abort', onAbort);
        if (error !== null) reject(failure(error, signal));
        else resolve(response ?? {});
      },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Calls a server-streaming method once; ending the iteration cancels it. @throws WireError, or the signal's reason. */
export async function* callStream(
  client: grpc.Client,
  method: Method,
  request: object,
  options: CallOptions,
): AsyncGenerator<object, void, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const stream = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    new grpc.Metadata(),
    deadlineOf(options),
  );
  const onAbort = () => stream.cancel();
  stream.on('error', () => undefined); // a cancelled stream reports its own cancellation after iteration ended
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const message of stream) yield message as object;
  } catch (thrown) {
    throw failure(thrown, signal);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}

async function* rethrown(messages: AsyncIterable<object>): AsyncGenerator<object, void, undefined> {
  try {
    yield* messages;
  } catch (thrown) {
    throw asCallerError(thrown);
  }
}

function asCallerError(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.name === 'WireError' ? toCallerError(thrown as WireError) : thrown;
}

/** The methods of a plain gRPC service at an address: no actor, no retries. */
export function serviceCalls<Client, Handlers>(
  service: Service<Client, Handlers>,
  pool: ChannelPool,
  address: string,
): Calls<Client> {
  const calls: Record<string, unknown> = {};
  for (const [name, method] of service.methods) {
    calls[name] = method.responseStream
      ? (request: object, options: CallOptions = {}) =>
          rethrown(callStream(pool.client(address), method, request, options))
      : (request: object, options: CallOptions = {}) =>
          callUnary(pool.client(address), method, request, options).catch((thrown: unknown) => {
            throw asCallerError(thrown);
          });
  }
  return calls as Calls<Client>;
}
