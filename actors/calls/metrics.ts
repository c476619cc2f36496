/**
 * Prometheus metrics of one process: its own registry (never the package-wide default), Node's default metrics,
 * event-loop delay, and Ballast's metrics with the prefix `ballast_`.
 */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { toError, UserError } from '../../common/errors.ts';
import { listenFailure } from '../../common/listen-failure.ts';
import { checkPort, shown } from '../base/checks.ts';
import type { Target } from './target.ts';
import type { Mailbox } from '../base/mailbox.ts';

const LATENCY_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** A registry with the process's default metrics (CPU, memory, garbage collection, event-loop delay). */
export function createRegistry(
  labels: Readonly<Record<string, string>> = {},
  { isThread = false }: { readonly isThread?: boolean } = {},
): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  if (isThread) return registry; // the thread's process already reports these
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}

/**
 * Default metrics that promtool refuses, because they are gauges with a counter's name, or whose label `type` would
 * hide an actor's.
 */
const MISNAMED = ['handles', 'requests', 'resources'].flatMap((what) => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
]);

/** Counts served calls by method and status, with their latency. */
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

/** Gauges of the calls that wait and run in the targets that `targets` returns. */
export function watchMailboxes(registry: Registry, targets: () => Iterable<Target>): void {
  const gauge = (name: string, help: string, read: (mailbox: Mailbox) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        let sum = 0;
        for (const target of targets()) {
          if (target.kind !== 'local') continue;
          for (const mailbox of new Set([target.mailbox, ...(target.mailboxes?.values() ?? [])])) {
            sum += read(mailbox);
          }
        }
        this.set(sum);
      },
    });
  gauge('ballast_mailbox_depth', 'Calls that wait for their turn', (mailbox) => mailbox.depth);
  gauge('ballast_calls_running', 'Calls that an actor is answering', (mailbox) => mailbox.running);
}

export interface MetricsServer {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(toError(listenFailure(host, port, error))));
    server.listen(port, host, resolve);
  });
}

export interface MetricsOptions {
  readonly port?: number;
  readonly host?: string;
  /** Additional pages, by path. */
  readonly pages?: ReadonlyMap<string, () => Promise<string>>;
}

/** Serves `GET /metrics`. Port 0 takes a free port. @throws UserError naming the port when it is in use. */
export async function serveMetrics(registry: Registry, options: MetricsOptions = {}): Promise<MetricsServer> {
  const { port = 0, host = '127.0.0.1', pages } = options;
  checkPort('Metrics, port', port);
  if (typeof host !== 'string') throw new UserError(`Metrics, host = ${shown(host)}: name an address.`);
  const server = createServer((request, response) => {
    const { url = '' } = request;
    const page = url === '/metrics' ? () => registry.metrics() : pages?.get(url);
    if (page === undefined) {
      response.writeHead(404).end('not found: this server has only /metrics\n');
      return;
    }
    page().then(
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
