/**
 * A separate port for probes: plain gRPC health (grpc.health.v1) without TLS and without a token, because a kubelet has
 * neither. Nothing else is served there, and it reveals only whether this process works:
 *
 *   '' and `readiness`   SERVING; NOT_SERVING while the process drains
 *   `liveness`           SERVING as long as the process answers at all
 */

import * as grpc from '@grpc/grpc-js';
import { healthService } from './health.ts';
import { openPort } from './server-port.ts';

export interface HealthPortOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** True by default. */
  readonly isServing?: boolean;
}

export interface HealthPort {
  /** host:port. */
  readonly address: string;
  /** Sets the status, and notifies watchers. */
  setServing(isServing: boolean): void;
  close(): void;
}

export type HealthStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
type Watch = grpc.ServerWritableStream<{ service: string }, { status: HealthStatus }>;

const READINESS = new Set(['', 'readiness']);
const LIVENESS = 'liveness';

const SERVER_OPTIONS: grpc.ServerOptions = {
  'grpc.max_receive_message_length': 4096,
  'grpc.max_concurrent_streams': 64,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Adds the health service to a plain gRPC server; `statusOf` returns the status of a service. */
export function addPlainHealth(
  server: grpc.Server,
  statusOf: (service: string) => HealthStatus,
): { tell(isMeant: (service: string) => boolean): void; end(): void } {
  const watches = new Set<Watch>();
  server.addService(Object.fromEntries(healthService().methods), {
    check(
      { request }: { request: { service: string } },
      reply: grpc.sendUnaryData<{ status: HealthStatus }>,
    ) {
      const status = statusOf(request.service);
      if (status !== 'SERVICE_UNKNOWN') return reply(null, { status });
      reply({ code: grpc.status.NOT_FOUND, details: 'no such service' });
    },
    watch(call: Watch) {
      watches.add(call);
      call.on('cancelled', () => watches.delete(call));
      call.write({ status: statusOf(call.request.service) });
    },
  });
  return {
    /** Notifies the watchers of the given services. */
    tell(isMeant) {
      for (const watch of watches) {
        const { service } = watch.request;
        if (isMeant(service)) watch.write({ status: statusOf(service) });
      }
    },
    end() {
      for (const watch of watches) watch.end();
    },
  };
}

/** Starts to serve. @throws Error when the port is in use. */
export async function serveHealth({ host, port, isServing = true }: HealthPortOptions): Promise<HealthPort> {
  let isReady = isServing;
  const server = new grpc.Server(SERVER_OPTIONS);
  const health = addPlainHealth(server, (service) => {
    if (service === LIVENESS) return 'SERVING';
    if (!READINESS.has(service)) return 'SERVICE_UNKNOWN';
    return isReady ? 'SERVING' : 'NOT_SERVING';
  });
  const address = await openPort(server, host, port, grpc.ServerCredentials.createInsecure());
  return {
    address,
    setServing(now) {
      if (now === isReady) return;
      isReady = now;
      health.tell((service) => READINESS.has(service));
    },
    close() {
      health.end();
      server.forceShutdown();
    },
  };
}
