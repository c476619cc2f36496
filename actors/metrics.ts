/**
 * Prometheus metrics of one process: a registry of its own (never the package-wide default), Node's default metrics,
 * event-loop delay, and everything of ours under the prefix `ballast_`.
 */

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { errorCode, UserError } from '../common/errors.ts';

const LATENCY_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** A registry with the process's default metrics (CPU, memory, garbage collection, event-loop delay). */
export function createRegistry(labels: Readonly<Record<string, string>> = {}): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Served calls by method and status, with latency. */
export class CallMetrics {
  readonly #calls: Counter<'method' | 'code'>;
  readonly #seconds: Histogram<'method'>;

  constructor(registry: Registry) {
    this.#calls = new Counter({
      name: 'ballast_calls_total',
      help: 'Calls served, by method and gRPC status',
      labelNames: ['method', 'code'],
      registers: [registry],
    });
    this.#seconds = new Histogram({
      name: 'ballast_call_seconds',
      help: 'Time to serve a call, streams until their last message',
      labelNames: ['method'],
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    });
  }

  observe(method: string, code: string, seconds: number): void {
    this.#calls.inc({ method, code });
    this.#seconds.observe({ method }, seconds);
  }
}

export interface MetricsServer {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const inUse = errorCode(error) === 'EADDRINUSE';
      const advice = `Port ${port} on ${host} is in use: choose another metrics port, or 0 for any free one.`;
      reject(inUse ? new UserError(advice, { cause: error }) : error);
    });
    server.listen(port, host, resolve);
  });
}

/** Serves `GET /metrics`. Port 0 takes a free one. @throws UserError naming the port when it is in use. */
export async function serveMetrics(
  registry: Registry,
  options: { readonly port?: number; readonly host?: string } = {},
): Promise<MetricsServer> {
  const { port = 0, host = '127.0.0.1' } = options;
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end('only /metrics is here\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await listen(server, host, port);
  server.unref();
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
