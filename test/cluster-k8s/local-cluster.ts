/**
 * A cluster of this machine: Kubernetes's own control plane as processes, three nodes that an agent stands in for (agent/), and on
 * request KEDA and a Prometheus. Its users have a kubeconfig, and values of the chart that say where things are in it.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { type ApiServer, startApiServer, whyNoControlPlane } from '../support/k8s/control-plane.ts';
import { Keda, whyNoKeda } from '../support/k8s/keda.ts';
import { createDefinitions } from '../support/k8s/modules.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { type PodMonitor, type Target, targetsOf, writeTargets } from '../support/k8s/pod-targets.ts';
import { whyNoContainers } from '../support/k8s/runc.ts';
import { hasNats } from '../support/nats.ts';
import { type Host, TestNetwork } from '../support/network.ts';
import { hasPrometheus, Prometheus } from '../support/prometheus.ts';
import { NodeAgent } from './agent/node-agent.ts';

const NODES = ['machine-a', 'machine-b', 'machine-c'];
/** One at a time for each pod, and those that end. */
const ADDRESSES = 40;
const MONITORING = 'monitoring';
const DISCOVERY_MS = 500;
const MERGE = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);

export interface LocalOptions {
  /** With Prometheus, too. */
  readonly hasKeda?: boolean;
}

/** Why there can be none here; null if there can. */
export function whyNoLocalCluster({ hasKeda = false }: LocalOptions): string | null {
  return (
    whyNoControlPlane() ??
    whyNotRendered() ??
    whyNoContainers() ??
    (hasNats ? null : 'nats-server is not there') ??
    (TestNetwork.isPossible() ? null : 'no network can be made') ??
    (hasKeda ? (whyNoKeda() ?? (hasPrometheus ? null : 'prometheus is not there')) : null)
  );
}

export class LocalCluster {
  readonly server: ApiServer;
  /** A file of values for the chart. */
  readonly values: string;
  readonly #folder: string;
  readonly #agent: NodeAgent;
  readonly #network: TestNetwork;
  readonly #spare: readonly [Host, Host, Host];
  #keda: Keda | null = null;
  #prometheus: Prometheus | null = null;
  #isOver = false;
  #discovering = Promise.resolve();

  private constructor(folder: string, network: TestNetwork, server: ApiServer, agent: NodeAgent) {
    [this.#folder, this.#network, this.server, this.#agent] = [folder, network, server, agent];
    const [scraper, operator, metrics] = network.hosts as [Host, Host, Host];
    this.#spare = [scraper, operator, metrics];
    this.values = join(folder, 'values.json');
    const networkPolicy = { apiServer: { ports: [server.address.port] } };
    const prometheusAddress = `http://${scraper.address}:9090`;
    const autoscaling = { prometheusAddress, pollingSeconds: 5, cooldownSeconds: 20 };
    writeFileSync(this.values, JSON.stringify({ networkPolicy, autoscaling }));
  }

  /** Resolves when its nodes are ready, and a release can be installed. */
  static async start({ hasKeda = false }: LocalOptions): Promise<LocalCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-cluster-'));
    chmodSync(folder, 0o755);
    const network = TestNetwork.create(ADDRESSES)!;
    const { address: host } = network;
    const server = await startApiServer(join(folder, 'control-plane'), { host, isWhole: true });
    const agent = await NodeAgent.start({
      ...{ kubeconfig: server.cluster.kubeconfig, nodes: NODES, apiServer: server.address },
      ...{ hosts: network.hosts.slice(3), folder: join(folder, 'pods') },
    });
    const cluster = new LocalCluster(folder, network, server, agent);
    if (hasKeda) await cluster.#startKeda();
    return cluster;
  }

  get kubeconfig(): string {
    return this.server.cluster.kubeconfig;
  }

  /** The output of all containers and of KEDA. */
  get transcript(): string {
    return [this.#agent.transcript, this.#keda?.transcript ?? ''].join('\n');
  }

  /** The one that scrapes the pods. @throws Error where there is none */
  get prometheus(): Prometheus {
    if (this.#prometheus === null) throw new Error('no Prometheus runs');
    return this.#prometheus;
  }

  async startPrometheus(): Promise<void> {
    const folder = join(this.#folder, 'prometheus');
    mkdirSync(folder, { recursive: true });
    const files = { files: [this.#targetsFile], refresh_interval: '1s' };
    const [host, operator] = this.#spare;
    this.#prometheus = await Prometheus.start({
      ...{ folder, host, ruleFiles: [], targets: [{ job: 'keda', address: `${operator.address}:8080` }] },
      scrapeConfigs: [{ job_name: 'pods', file_sd_configs: [files] }],
    });
  }

  async stopPrometheus(): Promise<void> {
    await this.#prometheus?.stop();
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#discovering;
    await this.#keda?.stop();
    await this.stopPrometheus();
    await this.#agent.stop();
    await this.server.stop();
    this.#network.close();
    rmSync(this.#folder, { recursive: true });
  }

  get #targetsFile(): string {
    return join(this.#folder, 'targets.json');
  }

  async #startKeda(): Promise<void> {
    createDefinitions(this.server.cluster, ['prometheus-operator']);
    const [scraper, operator, metrics] = this.#spare;
    const folder = join(this.#folder, 'keda');
    this.#keda = await Keda.start({ server: this.server, hosts: [operator, metrics], folder });
    await this.#standIn(scraper);
    writeTargets(this.#targetsFile, []);
    this.#discovering = this.#discover();
    await this.startPrometheus();
  }

  /** A pod that no node runs, for network policies: Prometheus's address is its own. */
  async #standIn({ address }: Host): Promise<void> {
    const core = this.#client.makeApiClient(CoreV1Api);
    await core.createNamespace({ body: { metadata: { name: MONITORING } } });
    const [name, namespace] = ['prometheus', MONITORING];
    const metadata = { name, labels: { 'app.kubernetes.io/name': name } };
    const spec = {
      schedulingGates: [{ name: 'ballast.internal/stand-in' }],
      containers: [{ name, image: `${name}:none` }],
    };
    await core.createNamespacedPod({ namespace, body: { metadata, spec } });
    const status = { podIP: address, podIPs: [{ ip: address }] };
    await core.patchNamespacedPodStatus({ name, namespace, body: { status } }, MERGE);
  }

  get #client(): KubeConfig {
    const config = new KubeConfig();
    config.loadFromFile(this.kubeconfig);
    return config;
  }

  /** Tells Prometheus of the pods, as long as the cluster is there. */
  async #discover(): Promise<void> {
    const config = this.#client;
    const [core, custom] = [config.makeApiClient(CoreV1Api), config.makeApiClient(CustomObjectsApi)];
    const kind = { group: 'monitoring.coreos.com', version: 'v1', plural: 'podmonitors' };
    let before: readonly Target[] = [];
    while (!this.#isOver) {
      try {
        const monitors = (await custom.listCustomObjectForAllNamespaces(kind)) as { items: PodMonitor[] };
        const targets = targetsOf(monitors.items, (await core.listPodForAllNamespaces()).items);
        if (JSON.stringify(targets) !== JSON.stringify(before)) writeTargets(this.#targetsFile, targets);
        before = targets;
      } catch {
        // The API server is slow: the next round sees what this one missed.
      }
      await delay(DISCOVERY_MS);
    }
  }
}
