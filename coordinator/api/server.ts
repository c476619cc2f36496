/**
 * The gRPC server of the public API: admits callers by token and scope, limits rates and message sizes, decodes, calls,
 * and answers with rich errors. Health and reflection beside it.
 */
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { addPlainHealth } from '../../actors/serving/health-port.ts';
import { addReflection } from '../../actors/serving/reflection.ts';
import { closePort, openPort } from '../../actors/serving/server-port.ts';
import { logRefusedCallers } from '../../actors/security/tls-refusals.ts';
import { checkExposure, type Security, serverCredentials } from '../../actors/security/security.ts';
import type { AnyService, Method } from '../../actors/proto/protos.ts';
import { toError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { Gate } from './access.ts';
import { ApiError, toFacts, toRpcStatus } from './errors.ts';
import { explainedEnds, MAX_REQUEST_BYTES } from './explained-ends.ts';
import type { ApiMetrics } from './metrics.ts';

/** Longest time that an unary call may take, whatever its caller says. */
const MAX_UNARY_MS = 120_000;

/** A call as its method sees it. */
export interface ApiCall {
  /** Aborted when the caller cancels, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
}

export type ApiMethods = Readonly<Record<string, (request: never, call: ApiCall) => unknown>>;

export interface ApiServerOptions {
  readonly service: AnyService;
  readonly methods: ApiMethods;
  /** Null lets everybody do everything. */
  readonly gate: Gate | null;
  readonly security: Security;
  readonly metrics: ApiMetrics;
  readonly log: Log;
}

type ServerCall =
  grpc.ServerUnaryCall<Uint8Array, Uint8Array> | grpc.ServerWritableStream<Uint8Array, Uint8Array>;

const passThrough = (bytes: Uint8Array) => bytes as Buffer;

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: grpc.Server;
  readonly #health: ReturnType<typeof addPlainHealth>;
  readonly #stopping = new AbortController();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.max_concurrent_streams': 256,
      interceptors: [explainedEnds],
    });
    const definition: Record<string, grpc.MethodDefinition<Uint8Array, Uint8Array>> = {};
    const handlers: grpc.UntypedServiceImplementation = {};
    for (const [name, method] of options.service.methods) {
      definition[name] = {
        ...method,
        requestSerialize: passThrough,
        requestDeserialize: passThrough,
        responseSerialize: passThrough,
        responseDeserialize: passThrough,
      };
      handlers[name] = method.responseStream ? this.#stream(name, method) : this.#unary(name, method);
    }
    this.#server.addService(definition, handlers);
    addReflection(this.#server, () => [options.service]);
    this.#health = addPlainHealth(this.#server, (name) =>
      name === '' || name === options.service.name ? 'SERVING' : 'SERVICE_UNKNOWN',
    );
  }

  /** Begins to serve. Resolves to host:port. @throws UserError for a host that others reach, without TLS. */
  async listen(host: string, port: number): Promise<string> {
    const { security, log } = this.#options;
    const warning = checkExposure(host, security);
    if (warning !== null) log.warn(warning);
    const credentials = serverCredentials(security, this.#options.gate === null);
    const address = await openPort(this.#server, host, port, credentials);
    logRefusedCallers(this.#server, log);
    return address;
  }

  /** Ends calls in progress with UNAVAILABLE, then all connections. */
  async stop(graceMs = 1000): Promise<void> {
    const unavailable = { code: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' } as const;
    this.#stopping.abort(new ApiError({ ...unavailable, message: 'the coordinator is shutting down' }));
    this.#health.end();
    await closePort(this.#server, graceMs);
  }

  #unary(name: string, method: Method) {
    return (call: grpc.ServerUnaryCall<Uint8Array, Uint8Array>, reply: grpc.sendUnaryData<Uint8Array>) =>
      void this.#serve(name, call, async (request, apiCall) => {
        const handler = this.#options.methods[name]!;
        const answer = (await handler(request, apiCall)) as object | undefined;
        return () => reply(null, method.responseSerialize(answer ?? {}));
      }).then((end) => (typeof end === 'function' ? end() : reply(end)));
  }

  #stream(name: string, method: Method) {
    return (call: grpc.ServerWritableStream<Uint8Array, Uint8Array>) =>
      void this.#serve(name, call, async (request, apiCall) => {
        const messages = this.#options.methods[name]!(request, apiCall) as AsyncIterable<object>;
        for await (const message of messages) {
          apiCall.signal.throwIfAborted();
          if (!call.write(method.responseSerialize(message))) await drained(call, apiCall.signal);
        }
        apiCall.signal.throwIfAborted(); // a source that was aborted has not reached its end
        return () => call.end();
      }).then((end) => (typeof end === 'function' ? end() : call.emit('error', end)));
  }

  /** Resolves to what ends the call well, or to the status that ends it badly. Never rejects. */
  async #serve(
    name: string,
    call: ServerCall,
    work: (request: never, apiCall: ApiCall) => Promise<() => void>,
  ): Promise<(() => void) | Partial<grpc.StatusObject>> {
    const { service, gate, metrics, log } = this.#options;
    const method = service.methods.get(name)!;
    const begun = metrics.begin(name);
    const cancelled = new AbortController();
    call.on('cancelled', () => cancelled.abort(cancelledError()));
    const signals = [cancelled.signal, this.#stopping.signal];
    if (!method.responseStream) signals.push(AbortSignal.timeout(MAX_UNARY_MS));
    const signal = AbortSignal.any(signals);
    try {
      gate?.admit(name, call.metadata.get('authorization')[0]);
      const end = await work(decode(method, call.request), { signal });
      begun.end('OK');
      return end;
    } catch (thrown) {
      const meant: unknown = signal.aborted && !(thrown instanceof ApiError) ? signal.reason : thrown;
      const facts = toFacts(isTimeout(meant) ? deadlineError() : meant, log);
      begun.end(facts.code);
      return toRpcStatus(facts);
    }
  }
}

function decode(method: Method, bytes: Uint8Array): never {
  try {
    return method.requestDeserialize(bytes as Buffer) as never;
  } catch (thrown) {
    throw new ApiError({
      code: 'INVALID_ARGUMENT',
      reason: 'MALFORMED_REQUEST',
      message: `the request is not a message that ${method.path} takes`,
      cause: toError(thrown),
    });
  }
}

/** @throws the signal's reason */
async function drained(
  call: grpc.ServerWritableStream<Uint8Array, Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  await once(call, 'drain', { signal }).catch(() => signal.throwIfAborted());
}

function isTimeout(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'TimeoutError';
}

function cancelledError(): ApiError {
  return new ApiError({ code: 'CANCELLED', reason: 'CANCELLED', message: 'the caller cancelled' });
}

function deadlineError(): ApiError {
  const message = `the call took longer than ${MAX_UNARY_MS / 1000} s`;
  return new ApiError({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED', message });
}
