/**
 * The gRPC server of a process. Ballast's own processes open the shared stream; any other gRPC client makes plain calls
 * to the same methods, discovers them by reflection, and names the target actor in the metadata `ballast-actor` when
 * several serve a method.
 */

import type { EventEmitter } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { CallError, toFailure } from '../base/call-errors.ts';
import type { Failure } from '../base/call-errors.ts';
import { BUSY_PEER_TIMEOUT_MS } from '../calls/channels.ts';
import type { Dispatcher } from '../calls/dispatcher.ts';
import type { CallOutput, IncomingCall } from '../calls/call.ts';
import { toStatus } from '../proto/grpc-errors.ts';
import type { AnyService, Method } from '../proto/protos.ts';
import { addReflection } from './reflection.ts';
import { closePort, openPort } from './server-port.ts';
import { checkExposure, isAuthorized, serverCredentials } from '../security/security.ts';
import type { Security } from '../security/security.ts';
import { logRefusedCallers } from '../security/tls-refusals.ts';
import type { FrameDuplex } from '../calls/transport/channel.ts';
import { CONNECT_PATH, decodeFrame, encodeFrame } from '../calls/transport/frames.ts';

export const LOOPBACK = '127.0.0.1';
export const ACTOR_METADATA = 'ballast-actor';

export interface ServiceServerOptions {
  readonly dispatcher: Dispatcher;
  /** Accepts a shared stream that another process opened. */
  readonly accept: (duplex: FrameDuplex) => void;
  readonly security: Security;
}

export interface ListenOptions {
  /** Loopback by default. */
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
}

type AuthenticDuplex = FrameDuplex & {
  readonly metadata: grpc.Metadata;
  emit(event: 'error', status: Partial<grpc.StatusObject>): boolean;
};

const HEALTH_PREFIX = '/grpc.health.v1.Health/';

type OneAnswer =
  grpc.ServerUnaryCall<Uint8Array, Uint8Array> | grpc.ServerReadableStream<Uint8Array, Uint8Array>;
type ManyAnswers =
  grpc.ServerWritableStream<Uint8Array, Uint8Array> | grpc.ServerDuplexStream<Uint8Array, Uint8Array>;

/** The input of a plain call. A handler that does not read all of its requests can still answer. */
function inputOf(call: OneAnswer | ManyAnswers): Pick<IncomingCall, 'request' | 'requests'> {
  if ('request' in call) return { request: call.request, requests: null };
  const requests = {
    [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>,
  };
  return { request: new Uint8Array(), requests };
}

/** Never rejects: a call that fails meanwhile is ended by its signal. */
function drained(call: ManyAnswers): Promise<void> {
  return new Promise((resolve) => call.once('drain', resolve));
}

const passThrough = (bytes: Buffer) => bytes;
/** A result from a thread is not a Buffer, which gRPC requires. */
const asBuffer = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export class ServiceServer {
  readonly #server = new grpc.Server({
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': BUSY_PEER_TIMEOUT_MS,
  });
  readonly #options: ServiceServerOptions;
  readonly #exposed = new Map<string, AnyService>();

  constructor(options: ServiceServerOptions) {
    this.#options = options;
    const connect = {
      path: CONNECT_PATH,
      requestStream: true,
      responseStream: true,
      requestSerialize: encodeFrame,
      requestDeserialize: decodeFrame,
      responseSerialize: encodeFrame,
      responseDeserialize: decodeFrame,
    };
    this.#server.addService({ connect }, { connect: (duplex: AuthenticDuplex) => this.#accept(duplex) });
    addReflection(this.#server, () => [...this.#exposed.values()]);
  }

  /** Whether a service is offered to plain gRPC clients. */
  isExposed(serviceName: string): boolean {
    return this.#exposed.has(serviceName);
  }

  /** Offers a service to plain gRPC clients; the dispatcher runs its calls. Once is enough for each service. */
  expose(service: AnyService): void {
    if (this.#exposed.has(service.name)) return;
    this.#exposed.set(service.name, service);
    const implementation: grpc.UntypedServiceImplementation = {};
    const definition: Record<string, grpc.MethodDefinition<Uint8Array, Uint8Array>> = {};
    for (const [name, method] of service.methods) {
      definition[name] = {
        ...method,
        requestSerialize: asBuffer,
        requestDeserialize: passThrough,
        responseSerialize: asBuffer,
        responseDeserialize: passThrough,
      };
      implementation[name] = (
        method.responseStream ? this.#stream(method) : this.#unary(method)
      ) as grpc.UntypedHandleCall;
    }
    this.#server.addService(definition, implementation);
  }

  /** Starts to serve. Resolves to host:port. @throws Error when the port is in use. */
  async listen({ host = LOOPBACK, port = 0 }: ListenOptions = {}): Promise<string> {
    const { security, dispatcher } = this.#options;
    const warning = checkExposure(host, security);
    if (warning !== null) dispatcher.log.warn(warning);
    const address = await openPort(this.#server, host, port, serverCredentials(security));
    if (security.tls !== null) logRefusedCallers(this.#server, dispatcher.log);
    return address;
  }

  /** Lets calls in progress answer for up to `graceMs`, then closes all connections. */
  async stop(graceMs = 500): Promise<void> {
    await this.#options.dispatcher.stop(graceMs);
    await closePort(this.#server, graceMs);
  }

  #unary(method: Method) {
    return (call: OneAnswer, reply: grpc.sendUnaryData<Uint8Array>) =>
      this.#dispatch(method, call, {
        answer: (message) => reply(null, message),
        message: () => null,
        end: () => reply(null, new Uint8Array()),
        fail: (failure) => reply(toStatus(failure)),
      });
  }

  #stream(method: Method) {
    return (call: ManyAnswers) =>
      this.#dispatch(method, call, {
        answer: (message) => {
          call.write(message);
          call.end();
        },
        message: (message) => (call.write(message) ? null : drained(call)),
        end: () => call.end(),
        fail: (failure: Failure) => call.emit('error', toStatus(failure)),
      });
  }

  #dispatch(method: Method, call: OneAnswer | ManyAnswers, output: CallOutput): void {
    const deadline = call.getDeadline();
    const deadlineMs = (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now();
    try {
      this.#authorize(method.path, call.metadata);
      const actorId = this.#actorOf(method, call.metadata);
      const { path } = method;
      const incoming = { actorId, incarnation: 0, method: path, ...inputOf(call), deadlineMs, chain: [] };
      const dispatched = this.#options.dispatcher.dispatch(incoming, output);
      (call as EventEmitter).on('cancelled', () =>
        dispatched.cancel(new CallError('CANCELLED', 'the caller cancelled')),
      );
    } catch (thrown) {
      output.fail(toFailure(thrown, this.#options.dispatcher.log));
    }
  }

  #accept(duplex: AuthenticDuplex): void {
    try {
      this.#authorize(CONNECT_PATH, duplex.metadata);
      this.#options.accept(duplex);
    } catch (thrown) {
      duplex.emit('error', toStatus(toFailure(thrown, this.#options.dispatcher.log)));
    }
  }

  /** Health is for probes, which have no token. */
  #authorize(path: string, metadata: grpc.Metadata): void {
    if (path.startsWith(HEALTH_PREFIX) || isAuthorized(this.#options.security, metadata)) return;
    throw new CallError('UNAUTHENTICATED', "this process wants a token: 'authorization: Bearer TOKEN'");
  }

  /** The target actor of a plain call: the one that it names, otherwise the only one that serves the method. */
  #actorOf(method: Method, metadata: grpc.Metadata): string {
    const [named] = metadata.get(ACTOR_METADATA);
    if (named !== undefined) return String(named);
    const { dispatcher } = this.#options;
    if (dispatcher.hasOwn(method.path)) return '';
    const serving = [...dispatcher.actors()].filter(([, target]) => target.methods.has(method.path));
    const [first] = serving;
    if (first !== undefined && serving.length === 1) return first[0];
    const names = serving.map(([actorId]) => actorId).join(', ');
    throw new CallError(
      'FAILED_PRECONDITION',
      serving.length === 0
        ? `no actor serves ${method.path} yet`
        : `several actors serve ${method.path} (${names}): name one in the metadata '${ACTOR_METADATA}'`,
    );
  }
}
