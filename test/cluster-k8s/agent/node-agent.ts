/**
 * Nodes of a test's cluster, in place of kubelets: it registers Node objects, keeps their leases, and runs the pods that are
 * bound to them as containers of this machine, each in a network namespace on one bridge, with folders as volumes. In place of a
 * network plugin and kube-proxy, nftables enforces network policies (policy-keeper.ts), and a name of a Service leads to one of its
 * ready pods, by /etc/hosts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CoordinationV1Api,
  CoreV1Api,
  DiscoveryV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  type V1Endpoint,
  type V1EndpointSlice,
  type V1PersistentVolumeClaim,
  type V1Pod,
} from '@kubernetes/client-node';
import type { Host } from '../../support/network.ts';
import { FolderVolumes } from './folder-volumes.ts';
import { PodRun } from './pod-run.ts';
import { PolicyKeeper } from './policy-keeper.ts';
import { Watch } from './watch.ts';

export interface AgentOptions {
  readonly kubeconfig: string;
  /** Names of the nodes. */
  readonly nodes: readonly string[];
  /** Machines of a test network; each pod takes one. */
  readonly hosts: readonly Host[];
  readonly folder: string;
  readonly apiServer: { readonly host: string; readonly port: number };
}

const CAPACITY = { cpu: '4', memory: '8Gi', pods: '20' };
const LEASE_NAMESPACE = 'kube-node-lease';
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const MERGE = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);

export class NodeAgent {
  /** Failures, in order. */
  readonly problems: string[] = [];
  readonly #options: AgentOptions;
  readonly #core: CoreV1Api;
  readonly #leases: CoordinationV1Api;
  readonly #slices: DiscoveryV1Api;
  readonly #config = new KubeConfig();
  readonly #pods = new Map<string, PodRun>();
  readonly #free: Host[];
  readonly #addresses = new Map<string, string>();
  #watches: readonly Watch[] = [];
  #keeper: PolicyKeeper | null = null;
  #outputs: string[] = [];
  readonly #since = new Date();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  private constructor(options: AgentOptions) {
    this.#options = options;
    this.#free = [...options.hosts];
    this.#config.loadFromFile(options.kubeconfig);
    this.#core = this.#config.makeApiClient(CoreV1Api);
    this.#leases = this.#config.makeApiClient(CoordinationV1Api);
    this.#slices = this.#config.makeApiClient(DiscoveryV1Api);
  }

  /** Resolves when the nodes are ready. */
  static async start(options: AgentOptions): Promise<NodeAgent> {
    mkdirSync(options.folder, { recursive: true });
    const agent = new NodeAgent(options);
    for (const node of options.nodes) await agent.#register(node);
    agent.#timer = setInterval(() => {
      // A renewal that fails is followed by the next one.
      for (const node of options.nodes) void agent.#renew(node).catch(() => undefined);
    }, RENEW_MS);
    if (PolicyKeeper.isPossible)
      agent.#keeper = await PolicyKeeper.start(agent.#config, options.apiServer.host);
    await FolderVolumes.createClass(agent.#config);
    agent.#follow();
    return agent;
  }

  #follow(): void {
    const [config, core] = [this.#config, this.#core];
    const volumes = new FolderVolumes(core, join(this.#options.folder, 'volumes'));
    const hear = (work: Promise<void>) => void work.catch((thrown: unknown) => this.#hear('volumes', thrown));
    this.#watches = [
      Watch.of<V1EndpointSlice>(
        config,
        '/apis/discovery.k8s.io/v1/endpointslices',
        () => this.#slices.listEndpointSliceForAllNamespaces(),
        {
          see: (slice) => this.#seeService(slice),
          lose: () => undefined, // a name leads where it led, as an address of a Service without pods would stay
        },
      ),
      Watch.of<V1PersistentVolumeClaim>(
        config,
        '/api/v1/persistentvolumeclaims',
        () => core.listPersistentVolumeClaimForAllNamespaces(),
        { see: (claim) => hear(volumes.see(claim)), lose: (claim) => hear(volumes.lose(claim)) },
      ),
      Watch.of<V1Pod>(config, '/api/v1/pods', () => core.listPodForAllNamespaces(), {
        see: (pod) => this.#seePod(pod),
        lose: ({ metadata }) => {
          const run = this.#pods.get(metadata!.uid!);
          if (run === undefined) this.#keeper?.lose(metadata!.uid!);
          else void run.end(0);
        },
      }),
    ];
  }

  /** Ends all pods at once; nodes stay registered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await Promise.all(this.#watches.map((watch) => watch.stop()));
    await this.#keeper?.stop();
    const pods = [...this.#pods.values()];
    await Promise.all(pods.map((pod) => pod.end(0)));
    await Promise.all(pods.map(({ over }) => over));
  }

  /** The output of all containers, also of those that are gone. */
  get transcript(): string {
    return [...this.#outputs, ...[...this.#pods.values()].map(transcriptOf), ...this.problems].join('\n');
  }

  #seePod(pod: V1Pod): void {
    const { uid = '', name = '', namespace = '' } = pod.metadata ?? {};
    this.#keeper?.see(pod);
    const known = this.#pods.get(uid);
    if (known !== undefined) return known.see(pod);
    if (this.#isStopped || !this.#options.nodes.includes(pod.spec?.nodeName ?? '')) return;
    if (['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) return;
    const host = this.#free.shift();
    if (host === undefined) return this.#hear(name, 'no address is free');
    this.#keeper?.attach(pod, host);
    const run = new PodRun(pod, {
      ...{ api: this.#core, apiServer: this.#options.apiServer, host, folder: this.#options.folder },
      hosts: this.#writeHosts(namespace),
      onFailure: (_pod, thrown) => this.#hear(name, thrown),
    });
    this.#pods.set(uid, run);
    run.see(pod);
    void run.over
      .catch((thrown: unknown) => this.#hear(name, thrown))
      .then(() => {
        this.#outputs.push(transcriptOf(run));
        this.#pods.delete(uid);
        this.#keeper?.lose(uid);
        this.#free.push(host);
      });
  }

  #hear(what: string, thrown: unknown): void {
    if (this.#isStopped) return;
    const { body } = (thrown ?? {}) as { body?: unknown };
    this.problems.push(`${what}: ${typeof body === 'string' ? body : String(thrown)}`);
  }

  #seeService({ metadata, ...slice }: V1EndpointSlice): void {
    const service = metadata?.labels?.['kubernetes.io/service-name'];
    const endpoints = slice.endpoints as readonly V1Endpoint[] | null; // null where none is left
    const ready = endpoints?.find(({ conditions }) => conditions?.ready === true)?.addresses[0];
    if (service === undefined || ready === undefined || metadata?.namespace === undefined) return;
    this.#addresses.set(`${service}.${metadata.namespace}`, ready);
    this.#writeHosts(metadata.namespace);
  }

  /** The file is written in place: containers have it mounted. Gives its path. */
  #writeHosts(namespace: string): string {
    const lines = [...this.#addresses].map(([name, address]) => {
      const [short, of] = name.split('.');
      const names = [name, `${name}.svc`, `${name}.svc.cluster.local`, ...(of === namespace ? [short] : [])];
      return `${address} ${names.join(' ')}\n`;
    });
    const file = join(this.#options.folder, `hosts-${namespace}`);
    writeFileSync(file, `127.0.0.1 localhost\n${lines.join('')}`);
    return file;
  }

  async #register(name: string): Promise<void> {
    const labels = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
    };
    await this.#core.createNode({ body: { metadata: { name, labels } } });
    await this.#leases.createNamespacedLease({
      namespace: LEASE_NAMESPACE,
      body: {
        metadata: { name, namespace: LEASE_NAMESPACE },
        spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: new V1MicroTime() },
      },
    });
    await this.#tellReady(name);
  }

  async #renew(name: string): Promise<void> {
    const body = { spec: { renewTime: new V1MicroTime() } };
    await this.#leases.patchNamespacedLease({ name, namespace: LEASE_NAMESPACE, body }, MERGE);
    await this.#tellReady(name);
  }

  async #tellReady(name: string): Promise<void> {
    const times = { lastHeartbeatTime: new Date(), lastTransitionTime: this.#since };
    const condition = (type: string, isTrue: boolean) => ({
      ...{ type, status: isTrue ? 'True' : 'False', reason: 'Agent', message: '', ...times },
    });
    const pressures = ['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => condition(type, false));
    const conditions = [condition('Ready', true), ...pressures];
    const status = { capacity: CAPACITY, allocatable: CAPACITY, conditions };
    await this.#core.patchNodeStatus({ name, body: { status } }, MERGE);
  }
}

function transcriptOf({ name, outputs }: PodRun): string {
  return Object.entries(outputs)
    .map(([container, output]) => `--- ${name} ${container}\n${output}`)
    .join('\n');
}
