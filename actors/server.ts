/**
 * A gRPC server on loopback whose handlers are plain async functions. Each call gets one AbortSignal that joins the
 * caller's cancellation, the deadline and the end of the process; streams honour backpressure.
 */

import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import type { Log } from '../common/log.ts';
import { CallError, toStatus } from './call-errors.ts';
import type { CallMetrics } from './metrics.ts';
import type { AnyService, Implementation, Method, Service } from './protos.ts';

export const LOOPBACK = '127.0.0.1';

/** What a handler knows of its call. */
export interface CallContext {
  /** Aborted when the caller cancels, the deadline passes or the process stops. */
  readonly signal: AbortSignal;
  /** Milliseconds that the caller had left when the call arrived; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  readonly log: Log;
}

type UnaryHandler = (request: object, context: CallContext) => Promise<object> | object;
type StreamHandler = (request: object, context: CallContext) => AsyncIterable<object>;

export interface ServiceServerOptions {
  readonly log: Log;
  readonly metrics?: CallMetrics;
}

interface OpenCall {
  readonly context: CallContext;
  /** Records the call's end; `status` is its gRPC status name. */
  close(status: string): void;
}

/** Largest delay of a Node timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A gRPC server that knows its calls in progress, so that it can end them. */
export class ServiceServer {
  readonly #server = new grpc.Server({
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  readonly #options: ServiceServerOptions;
  readonly #open = new Set<AbortController>();
  #stopping = false;

  constructor(options: ServiceServerOptions) {
    this.#options = options;
  }

  /** Adds a service before `listen`. @throws Error when a method of it has no handler. */
  add<Client, Handlers>(
    service: Service<Client, Handlers>,
    handlers: Implementation<Handlers, CallContext>,
  ): void {
    const byName: Readonly<Record<string, unknown>> = handlers;
    const implementation: grpc.UntypedServiceImplementation = {};
    const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
    for (const [name, method] of service.methods) {
      const handler = byName[name];
      if (typeof handler !== 'function') throw new Error(`${service.name} has no handler for ${name}`);
      definition[name] = method;
      implementation[name] = this.#adapt(service, name, method, handler.bind(handlers) as UnaryHandler);
    }
    this.#server.addService(definition, implementation);
  }

  /** Begins to serve on a free loopback port. Resolves to host:port. */
  async listen(): Promise<string> {
    const credentials = grpc.ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync(`${LOOPBACK}:0`, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return `${LOOPBACK}:${port}`;
  }

  /** Refuses new calls, aborts those in progress, lets them answer for `graceMs`, then closes all connections. */
  async stop(graceMs = 500): Promise<void> {
    this.#stopping = true;
    for (const call of this.#open) call.abort(stoppingError());
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const timer = setTimeout(() => this.#server.forceShutdown(), graceMs);
    await closed;
    clearTimeout(timer);
  }

  #adapt(service: AnyService, name: string, method: Method, handler: UnaryHandler | StreamHandler) {
    if (method.requestStream) throw new Error(`${service.name}.${name}: client streaming is not supported`);
    const fullName = method.path.slice(1);
    return method.responseStream
      ? (call: grpc.ServerWritableStream<object, object>) =>
          void this.#serveStream(fullName, call, handler as StreamHandler)
      : (call: grpc.ServerUnaryCall<object, object>, reply: grpc.sendUnaryData<object>) =>
          void this.#serveUnary(fullName, call, reply, handler as UnaryHandler);
  }

  async #serveUnary(
    name: string,
    call: grpc.ServerUnaryCall<object, object>,
    reply: grpc.sendUnaryData<object>,
    handler: UnaryHandler,
  ): Promise<void> {
    const open = this.#begin(name, call);
    try {
      const response = await handler(call.request, open.context);
      open.close('OK');
      reply(null, response ?? {});
    } catch (thrown) {
      const status = statusOf(thrown, open.context);
      open.close(grpc.status[status.code ?? grpc.status.UNKNOWN]);
      reply(status);
    }
  }

  async #serveStream(
    name: string,
    call: grpc.ServerWritableStream<object, object>,
    handler: StreamHandler,
  ): Promise<void> {
    const open = this.#begin(name, call);
    const { signal } = open.context;
    try {
      for await (const message of handler(call.request, open.context)) {
        signal.throwIfAborted();
        if (!call.write(message)) await once(call, 'drain', { signal });
      }
      open.close('OK');
      call.end();
    } catch (thrown) {
      const status = statusOf(thrown, open.context);
      open.close(grpc.status[status.code ?? grpc.status.UNKNOWN]);
      call.emit('error', status);
    }
  }

  #begin(
    name: string,
    call: grpc.ServerUnaryCall<object, object> | grpc.ServerWritableStream<object, object>,
  ) {
    const controller = new AbortController();
    const startMs = performance.now();
    const deadline = call.getDeadline();
    const deadlineMs = (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now();
    const expire = () => controller.abort(new CallError('DEADLINE_EXCEEDED', 'the deadline passed'));
    const timer = deadlineMs < MAX_TIMER_MS ? setTimeout(expire, Math.max(0, deadlineMs)) : undefined;
    call.on('cancelled', () => controller.abort(new CallError('CANCELLED', 'the caller cancelled')));
    if (this.#stopping) controller.abort(stoppingError());
    this.#open.add(controller);
    const open: OpenCall = {
      context: { signal: controller.signal, deadlineMs, log: this.#options.log.with({ call: name }) },
      close: (status) => {
        clearTimeout(timer);
        this.#open.delete(controller);
        this.#options.metrics?.observe(name, status, (performance.now() - startMs) / 1000);
      },
    };
    return open;
  }
}

/** No detail and UNAVAILABLE: callers treat it as a lost connection. */
class StoppingError extends Error {
  override readonly name = 'StoppingError';
}

function stoppingError(): Error {
  return new StoppingError('the process is stopping');
}

/** The answer to a call whose handler threw; after an abort, whatever it threw, the abort's own status. */
function statusOf(thrown: unknown, context: CallContext): Partial<grpc.StatusObject> {
  const { signal, log } = context;
  const cause: unknown = signal.aborted ? signal.reason : thrown;
  if (cause instanceof StoppingError) return { code: grpc.status.UNAVAILABLE, details: cause.message };
  return toStatus(cause, log);
}
