/** The common parts of every process of the runtime: connections, a gRPC server with health, and a /metrics page. */

import type { Registry } from 'prom-client';
import type { Log } from '../../common/log.ts';
import type { Activity } from '../base/activity.ts';
import { ChannelPool } from '../calls/channels.ts';
import { Dispatcher } from '../calls/dispatcher.ts';
import { addHealth } from './health.ts';
import { CallMetrics, createRegistry, serveMetrics, watchMailboxes } from '../calls/metrics.ts';
import type { MetricsServer } from '../calls/metrics.ts';
import { SecurityFiles } from '../security/security-files.ts';
import { ServiceServer } from './server.ts';
import type { ListenOptions } from './server.ts';

export interface ServingProcessOptions extends ListenOptions {
  /** Records the calls in progress. */
  readonly activity?: Activity;
  /** Labels of every metric of this process. */
  readonly labels: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Destination of metrics; by default a new registry with these labels. */
  readonly registry?: Registry;
  /** 0, the default, takes a free port. */
  readonly metricsPort?: number;
  /** Address at which others reach it, if not at the host that it listens on. */
  readonly advertisedHost?: string;
}

export class ServingProcess {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly pool: ChannelPool;
  readonly server: ServiceServer;
  /** Services with health SERVING, in addition to the server as a whole. */
  readonly servedServices = new Set<string>();
  readonly #pages = new Map<string, () => Promise<string>>();
  #address = '';
  #advertisedHost: string | null = null;
  #metrics: MetricsServer | null = null;

  private constructor({ labels, log, registry, activity }: ServingProcessOptions) {
    this.registry = registry ?? createRegistry(labels);
    this.dispatcher = new Dispatcher({
      log,
      metrics: new CallMetrics(this.registry),
      ...(activity === undefined ? {} : { activity }),
    });
    watchMailboxes(this.registry, () => this.dispatcher.actors().values());
    const security = new SecurityFiles(process.env, { log });
    this.pool = new ChannelPool({
      dispatcher: this.dispatcher,
      ownAddress: () => this.#address,
      security,
    });
    this.server = new ServiceServer({
      dispatcher: this.dispatcher,
      security,
      accept: (duplex) => this.pool.accept(duplex),
    });
    addHealth(this.server, this.dispatcher, (service) => this.servedServices.has(service));
  }

  /** Starts to serve. @throws Error when the port is in use. */
  static async start(options: ServingProcessOptions): Promise<ServingProcess> {
    const serving = new ServingProcess(options);
    const { host, metricsPort, advertisedHost } = options;
    serving.#advertisedHost = advertisedHost ?? null;
    serving.#address = serving.#advertised(await serving.server.listen(options));
    serving.#metrics = await serveMetrics(serving.registry, {
      ...(host === undefined ? {} : { host }),
      ...(metricsPort === undefined ? {} : { port: metricsPort }),
      pages: serving.#pages,
    });
    return serving;
  }

  /** host:port of its /metrics. */
  get metricsAddress(): string {
    return this.#advertised(this.#metrics?.address ?? '');
  }

  /** Serves another page at `/<path>/metrics` until the returned function is called. */
  serveMetricsOf(path: string, text: () => Promise<string>): () => void {
    this.#pages.set(`/${path}/metrics`, text);
    return () => {
      if (this.#pages.get(`/${path}/metrics`) === text) this.#pages.delete(`/${path}/metrics`);
    };
  }

  /** host:port of its gRPC server. */
  get address(): string {
    return this.#address;
  }

  #advertised(address: string): string {
    if (this.#advertisedHost === null || address === '') return address;
    return this.#advertisedHost + address.slice(address.lastIndexOf(':'));
  }

  /** Ends the calls in progress, then all connections. */
  async stop(): Promise<void> {
    await this.server.stop();
    this.pool.close();
    await this.#metrics?.close();
  }
}
