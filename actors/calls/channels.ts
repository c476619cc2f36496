/**
 * The connections of a process, one per address. Calls between Ballast processes share one stream (transport/); plain
 * gRPC calls (to other servers, and for bulk bytes) each use their own stream on the same connection.
 */

import type { EventEmitter } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { onAbort } from '../../common/abort.ts';
import { toError } from '../../common/errors.ts';
import { CallError, toCallerError } from '../base/call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import type { Dispatcher } from './dispatcher.ts';
import { fromServiceError } from '../proto/grpc-errors.ts';
import { callsOf } from '../proto/protos.ts';
import type { CallOptions, Calls, Method, RequestsOf, Service } from '../proto/protos.ts';
import { sendAll } from '../proto/request-stream.ts';
import { SecurityFiles } from '../security/security-files.ts';
import { callMetadata, channelCredentials, channelOptions, type Security } from '../security/security.ts';
import type { Transport } from './transport.ts';
import type { CallSink, CallStart, StartedCall } from './transport/caller.ts';
import type { FrameDuplex } from './transport/channel.ts';
import { Faults, readFaultOptions } from './transport/faults.ts';
import { LinkPool } from './transport/pool.ts';

// The client's window bounds the bytes in flight towards it; 8 MiB lets a receiver pull at memory speed on loopback.
export const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.enable_retries': 0, // only one layer retries: the actor handle
  'grpc.enable_http_proxy': 0,
};

/**
 * An actor that is computing answers no ping; its node reports whether it lives. A computing client does not answer its
 * server's pings either.
 */
export const BUSY_PEER_TIMEOUT_MS = 600_000;

export interface ChannelPoolOptions {
  /** Answers incoming calls; absent in a process that serves nothing. */
  readonly dispatcher?: Dispatcher;
  /** host:port at which this process can be called. */
  readonly ownAddress?: () => string;
  /** The credentials in the environment's files by default, followed as they change. */
  readonly security?: Security;
}

/** Connections by address. Call `close` when the process makes no more calls. */
export class ChannelPool implements Transport {
  readonly #clients = new Map<string, grpc.Client>();
  /** Addresses of actor processes. */
  readonly #actorAddresses = new Set<string>();
  readonly #links: LinkPool;
  readonly #security: Security;
  #isClosed = false;

  constructor(options: ChannelPoolOptions = {}) {
    const { dispatcher = null, ownAddress = () => '' } = options;
    const faultOptions = readFaultOptions(process.env);
    this.#security = options.security ?? new SecurityFiles(process.env, { log: null });
    this.#links = new LinkPool({
      client: (address) => this.client(address),
      metadata: () => this.metadata(),
      dispatcher,
      ownAddress,
      faults: faultOptions === null ? null : new Faults(faultOptions),
    });
  }

  /** A client on the shared connection to host:port. @throws CallError when the pool is closed. */
  client(address: string): grpc.Client {
    if (this.#isClosed) throw new CallError('UNAVAILABLE', 'this process has closed its connections');
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new grpc.Client(address, channelCredentials(this.#security), {
        ...CHANNEL_OPTIONS,
        ...(this.#actorAddresses.has(address) ? { 'grpc.keepalive_timeout_ms': BUSY_PEER_TIMEOUT_MS } : {}),
        ...channelOptions(this.#security),
      });
      this.#clients.set(address, client);
    }
    return client;
  }

  /** Metadata of every call. */
  metadata(): grpc.Metadata {
    return callMetadata(this.#security);
  }

  start(address: string, call: CallStart, sink: CallSink): StartedCall {
    if (call.actorId !== '') this.#actorAddresses.add(address);
    return this.#links.start(address, call, sink);
  }

  /** Accepts a stream that another process opened. */
  accept(duplex: FrameDuplex): void {
    this.#links.accept(duplex);
  }

  drop(address: string): void {
    this.#links.drop(address);
    this.#actorAddresses.delete(address);
    this.#clients.get(address)?.close();
    this.#clients.delete(address);
  }

  close(): void {
    this.#isClosed = true;
    this.#links.close();
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/** The connection used for plain calls. */
export type Connections = Pick<ChannelPool, 'client' | 'metadata'>;

/** The methods of a plain gRPC service at an address; each call is one gRPC call. */
export function plainCalls<Client, Handlers>(
  service: Service<Client, Handlers>,
  pool: Connections,
  address: string,
): Calls<Client> {
  return callsOf(service, {
    one: (method) => (input, options) => plainUnary(pool, address, method, input, options),
    many: (method) => (input, options) => plainStream(pool, address, method, input, options),
  });
}

function deadlineOf({ deadlineMs = DEFAULT_DEADLINE_MS }: CallOptions): grpc.CallOptions {
  const effectiveMs = effectiveDeadlineMs(deadlineMs);
  return effectiveMs === Infinity ? {} : { deadline: Date.now() + effectiveMs };
}

/** The signal's reason if it was aborted, otherwise the error of the call. */
function failure(error: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted === true) return toError(signal.reason);
  return toError(toCallerError(fromServiceError(error as grpc.ServiceError)));
}

type PlainStream = grpc.ClientDuplexStream<object, object>;

/**
 * Writes requests as flow control allows, then half-closes; stops when the call has ended. @throws what the iteration
 * throws
 */
function writeAll(requests: RequestsOf<object>, stream: PlainStream): Promise<void> {
  const events: EventEmitter = stream;
  let isOver = false;
  let wake: () => void = () => undefined;
  const onEnd = () => {
    isOver = true;
    wake();
  };
  events.on('drain', () => wake());
  for (const event of ['close', 'error', 'status']) events.once(event, onEnd);
  const drained = () => new Promise<void>((resolve) => (wake = resolve));
  const sink = {
    send: (message: object) => (stream.write(message) ? null : drained()),
    endRequests: () => stream.end(),
  };
  return sendAll(requests, sink, () => isOver);
}

/**
 * The responses of a plain call; ending the iteration cancels it. On the wire, a single request or response is a stream
 * of one.
 */
async function* plainStream(
  pool: Connections,
  address: string,
  method: Method,
  input: object,
  options: CallOptions,
): AsyncGenerator<object, void, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { path, requestSerialize, responseDeserialize, requestStream } = method;
  const stream: PlainStream = pool
    .client(address)
    .makeBidiStreamRequest(path, requestSerialize, responseDeserialize, pool.metadata(), deadlineOf(options));
  let broken: Error | null = null;
  writeAll(requestStream ? (input as RequestsOf<object>) : [input], stream).catch((thrown: unknown) => {
    broken = toError(thrown);
    stream.cancel();
  });
  stream.on('error', () => undefined); // a cancelled stream reports its own cancellation after iteration ended
  const stop = onAbort(signal, () => stream.cancel());
  try {
    for await (const message of stream) yield message as object;
  } catch (thrown) {
    throw broken ?? failure(thrown, signal);
  } finally {
    stop();
    stream.cancel();
  }
}

async function plainUnary(...call: Parameters<typeof plainStream>): Promise<object> {
  let answer: object = {};
  for await (answer of plainStream(...call));
  return answer;
}
