/**
 * A port of its own for probes: plain gRPC health (grpc.health.v1) without TLS and without a token, because a kubelet has
 * neither. Nothing else is served there, and it tells nothing but whether this process works:
 *
 *   '' and `readiness`   SERVING; NOT_SERVING while the process drains
 *   `liveness`           SERVING as long as the process answers at all
 */

import * as grpc from '@grpc/grpc-js';
import { healthService } from './health.ts';

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
  /** Says it to everybody who asks, and to those who watch. */
  setServing(isServing: boolean): void;
  close(): void;
}

type Status = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
type Watch = grpc.ServerWritableStream<{ service: string }, { status: Status }>;

const READINESS = new Set(['', 'readiness']);
const LIVENESS = 'liveness';

const SERVER_OPTIONS: grpc.ServerOptions = {
  'grpc.max_receive_message_length': 4096,
  'grpc.max_concurrent_streams': 64,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Begins to serve. @throws Error when the port is taken. */
export async function serveHealth({ host, port, isServing = true }: HealthPortOptions): Promise<HealthPort> {
  let isReady = isServing;
  const watches = new Set<Watch>();
  const statusOf = (service: string): Status => {
    if (service === LIVENESS) return 'SERVING';
    if (!READINESS.has(service)) return 'SERVICE_UNKNOWN';
    return isReady ? 'SERVING' : 'NOT_SERVING';
  };
  const server = new grpc.Server(SERVER_OPTIONS);
  server.addService(Object.fromEntries(healthService().methods), {
    check({ request }: { request: { service: string } }, reply: grpc.sendUnaryData<{ status: Status }>) {
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
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), (error, boundPort) =>
      error === null ? resolve(boundPort) : reject(error),
    ),
  );
  return {
    address: `${host}:${bound}`,
    setServing(now) {
      if (now === isReady) return;
      isReady = now;
      for (const watch of watches) {
        const { service } = watch.request;
        if (READINESS.has(service)) watch.write({ status: statusOf(service) });
      }
    },
    close() {
      for (const watch of watches) watch.end();
      server.forceShutdown();
    },
  };
}
