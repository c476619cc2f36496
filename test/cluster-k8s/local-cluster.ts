/**
 * A cluster of this machine: Kubernetes's own control plane as processes, three nodes with its own kubelet (nodes/), and on request
 * KEDA with a Prometheus, and cert-manager. Its users have a kubeconfig, and values of the chart that say where things are in it.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
import { CERT_MANAGER_IMAGES, installCertManager, whyNoCertManager } from '../support/k8s/cert-manager.ts';
import { type ApiServer, startApiServer, whyNoControlPlane, whyNot } from '../support/k8s/control-plane.ts';
import { installKeda, KEDA_IMAGES, whyNoKeda } from '../support/k8s/keda.ts';
import { createDefinitions } from '../support/k8s/modules.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { type PodMonitor, type Target, targetsOf, writeTargets } from '../support/k8s/pod-targets.ts';
import { whyNoContainers } from '../support/k8s/runc.ts';
import { hasNats } from '../support/nats.ts';
import { type Host, TestNetwork } from '../support/network.ts';
import { hasPrometheus, Prometheus } from '../support/prometheus.ts';
import { CNI_PLUGINS, NODE_PROGRAMS } from './nodes/node.ts';
import { Nodes } from './nodes/nodes.ts';

const NODES = ['machine-a', 'machine-b', 'machine-c'];
/** Of the network, beside them: Prometheus and CoreDNS. */
const MACHINES = 2;
const MONITORING = 'monitoring';
const DISCOVERY_MS = 500;
const MERGE = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);

export interface LocalOptions {
  /** With Prometheus, too. */
  readonly hasKeda?: boolean;
  readonly hasCertManager?: boolean;
}

/** Why there can be none here; null if there can. */
export function whyNoLocalCluster({ hasKeda = false, hasCertManager = false }: LocalOptions): string | null {
  return (
    whyNoControlPlane() ??
    whyNot([...NODE_PROGRAMS, 'coredns']) ??
    (existsSync(CNI_PLUGINS) ? null : `${CNI_PLUGINS} is not there: containernetworking-plugins`) ??
    whyNotRendered() ??
    whyNoContainers() ??
    (hasNats ? null : 'nats-server is not there') ??
    (hasCertManager ? whyNoCertManager() : null) ??
    (hasKeda ? (whyNoKeda() ?? (hasPrometheus ? null : 'prometheus is not there')) : null)
  );
}

export class LocalCluster {
  readonly server: ApiServer;
  /** A file of values for the chart. */
  readonly values: string;
  readonly #folder: string;
  readonly #nodes: Nodes;
  readonly #network: TestNetwork;
  readonly #scraper: Host;
  #prometheus: Prometheus | null = null;
  #isOver = false;
  #discovering = Promise.resolve();

  private constructor(folder: string, network: TestNetwork, server: ApiServer, nodes: Nodes) {
    [this.#folder, this.#network, this.server, this.#nodes] = [folder, network, server, nodes];
    this.#scraper = network.hosts[0]!;
    this.values = join(folder, 'values.json');
    const networkPolicy = { apiServer: { ports: [server.address.port] } };
    const prometheusAddress = `http://${this.#scraper.address}:9090`;
    const autoscaling = { prometheusAddress, pollingSeconds: 5, cooldownSeconds: 20 };
    writeFileSync(this.values, JSON.stringify({ networkPolicy, autoscaling }));
  }

  /** Resolves when its nodes are ready, and a release can be installed. */
  static async start({ hasKeda = false, hasCertManager = false }: LocalOptions): Promise<LocalCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-'));
    chmodSync(folder, 0o755);
    const network = TestNetwork.create(MACHINES + NODES.length)!;
    const undo: (() => void | Promise<void>)[] = [
      () => rmSync(folder, { recursive: true }),
      () => network.close(),
    ];
    try {
      const { address: host } = network;
      const server = await startApiServer(join(folder, 'control-plane'), { host, nodes: NODES });
      undo.push(() => server.stop());
      const dns = network.hosts[1]!;
      const hosts = network.hosts.slice(MACHINES);
      const programs = [...(hasKeda ? KEDA_IMAGES : []), ...(hasCertManager ? CERT_MANAGER_IMAGES : [])];
      const nodes = await Nodes.start({ names: NODES, server, network, hosts, dns, programs, folder });
      const cluster = new LocalCluster(folder, network, server, nodes);
      undo.splice(0, undo.length, () => cluster.stop());
      await cluster.#standIn('kube-dns', 'kube-system', { 'k8s-app': 'kube-dns' }, dns);
      if (hasKeda) await cluster.#startKeda();
      if (hasCertManager) await installCertManager(server.cluster);
      return cluster;
    } catch (thrown) {
      for (const step of undo.reverse()) await step();
      throw thrown;
    }
  }

  get kubeconfig(): string {
    return this.server.cluster.kubeconfig;
  }

  /** The output of its nodes. */
  get transcript(): string {
    return this.#nodes.transcript;
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
    this.#prometheus = await Prometheus.start({
      ...{ folder, host: this.#scraper, ruleFiles: [], targets: [] },
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
    await this.stopPrometheus();
    await this.#nodes.stop();
    await this.server.stop();
    this.#network.close();
    rmSync(this.#folder, { recursive: true });
  }

  get #targetsFile(): string {
    return join(this.#folder, 'targets.json');
  }

  async #startKeda(): Promise<void> {
    const { cluster } = this.server;
    createDefinitions(cluster, ['prometheus-operator']);
    await installKeda(cluster);
    const [name, core] = ['prometheus', this.#client.makeApiClient(CoreV1Api)];
    await core.createNamespace({ body: { metadata: { name: MONITORING } } });
    await this.#standIn(name, MONITORING, { 'app.kubernetes.io/name': name }, this.#scraper);
    writeTargets(this.#targetsFile, []);
    this.#discovering = this.#discover();
    await this.startPrometheus();
  }

  /** A pod that no node runs, by which network policies can name a program of this machine: its address is the pod's. */
  async #standIn(
    name: string,
    namespace: string,
    labels: Readonly<Record<string, string>>,
    { address }: Host,
  ): Promise<void> {
    const core = this.#client.makeApiClient(CoreV1Api);
    const spec = {
      schedulingGates: [{ name: 'ballast.internal/stand-in' }],
      containers: [{ name, image: `${name}:none` }],
    };
    await core.createNamespacedPod({ namespace, body: { metadata: { name, labels }, spec } });
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
