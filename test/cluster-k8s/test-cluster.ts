/**
 * A cluster of one test file: Kubernetes's own control plane as processes, three nodes that an agent stands in for (agent/), and
 * a namespace with volumes, data and a prior for a release of the chart.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { BusEvent } from '../../actors/control/event-bus.ts';
import type { SynthesisRun } from '../../controller/synthesis-run.ts';
import { tinyValues } from '../support/coordinator.ts';
import { type ApiServer, startApiServer, whyNoControlPlane } from '../support/k8s/control-plane.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { USER, whyNoContainers } from '../support/k8s/runc.ts';
import { hasNats } from '../support/nats.ts';
import { type Host, TestNetwork } from '../support/network.ts';
import { jsonLines, shapesData, shapesPrior } from '../support/suite.ts';
import { NodeAgent } from './agent/node-agent.ts';

export const NAMESPACE = 'ballast';
export const MINUTES = 60_000;
export const WORKERS = 'deployment/ballast-diffusion-worker-cpu';
export const WORKER_PODS = 'app.kubernetes.io/component=diffusion-worker';
const NODES = ['machine-a', 'machine-b', 'machine-c'];
/** One at a time for each pod, and those that end. */
const ADDRESSES = 40;

/** Claims of the release, with the size of a volume for each. */
export const CLAIMS = { 'ballast-runs': '10Gi', 'ballast-data': '10Gi', 'data-ballast-nats-0': '1Gi' };

/** Why there is no cluster here; null if there can be one. */
export function whyNoCluster(): string | null {
  return (
    whyNoControlPlane() ??
    whyNotRendered() ??
    whyNoContainers() ??
    (hasNats ? null : 'nats-server is not there') ??
    (TestNetwork.isPossible() ? null : 'no network can be made')
  );
}

export class TestCluster {
  /** For the transcript: seconds, as measured on a machine that does other things too. */
  readonly figures: string[] = [];
  readonly folder: string;
  readonly server: ApiServer;
  /** Machines beside the pods, for programs outside the cluster's nodes. */
  readonly spare: readonly Host[];
  readonly #agent: NodeAgent;
  readonly #network: TestNetwork;

  private constructor(
    folder: string,
    network: TestNetwork,
    server: ApiServer,
    agent: NodeAgent,
    spare: Host[],
  ) {
    this.folder = folder;
    this.#network = network;
    this.server = server;
    this.#agent = agent;
    this.spare = spare;
  }

  /** Resolves when its nodes are ready, and a release can be installed. */
  static async start(spares = 0): Promise<TestCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-cluster-'));
    chmodSync(folder, 0o755);
    const network = TestNetwork.create(ADDRESSES + spares)!;
    const { address: host } = network;
    const server = await startApiServer(join(folder, 'control-plane'), { host, isWhole: true });
    const agent = await NodeAgent.start({
      ...{ kubeconfig: server.cluster.kubeconfig, nodes: NODES, apiServer: server.address },
      ...{ hosts: network.hosts.slice(spares), folder: join(folder, 'pods') },
    });
    const cluster = new TestCluster(folder, network, server, agent, network.hosts.slice(0, spares));
    await cluster.#prepare();
    return cluster;
  }

  async #prepare(): Promise<void> {
    const label = 'pod-security.kubernetes.io/enforce=restricted';
    await this.server.cluster.run('create', 'namespace', NAMESPACE);
    await this.server.cluster.run('label', 'namespace', NAMESPACE, label);
    for (const [name, size] of Object.entries(CLAIMS)) {
      const path = join(this.folder, 'volumes', name);
      mkdirSync(path, { recursive: true });
      chownSync(path, USER, USER);
      await this.apply(volumeFor(name, size, path));
    }
    const data = join(this.folder, 'volumes', 'ballast-data');
    cpSync(await shapesData(), join(data, 'shapes'), { recursive: true });
    cpSync(await shapesPrior(), join(data, 'prior.safetensors'));
    chownSync(join(data, 'prior.safetensors'), USER, USER); // its owner alone may read a model
  }

  /** The output of all containers. */
  get transcript(): string {
    return this.#agent.transcript;
  }

  /** Ends everything, and prints the figures. */
  async stop(): Promise<void> {
    if (process.env['BALLAST_SHOW_TRANSCRIPT'] !== undefined) process.stdout.write(this.transcript);
    process.stdout.write(`${this.figures.join('\n')}\n`);
    await this.#agent.stop();
    await this.server.stop();
    this.#network.close();
    rmSync(this.folder, { recursive: true });
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.server.cluster.run('-n', NAMESPACE, ...args);
  }

  async get<Value>(...args: readonly string[]): Promise<Value> {
    return JSON.parse(await this.kubectl('get', '-o', 'json', ...args)) as Value;
  }

  async apply(object: object): Promise<void> {
    const file = join(this.folder, `${crypto.randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(object));
    await this.kubectl('apply', '--validate=strict', '-f', file);
  }

  /** Of the release: `install` or `upgrade`, by k8s/chart and these flags. */
  async helm(what: 'install' | 'upgrade', ...flags: readonly string[]): Promise<void> {
    const ports = `networkPolicy.apiServer.ports={${this.server.address.port}}`;
    const release = ['-n', NAMESPACE, what, 'ballast', 'k8s/chart', '--set', ports];
    await this.server.cluster.runHelm(...release, ...flags);
  }

  /** Waits for a condition. @throws Error with pods and the output of their containers */
  async waits(what: string, condition: string): Promise<void> {
    try {
      await this.kubectl('wait', what, `--for=${condition}`, '--timeout=900s');
    } catch (thrown) {
      const pods = await this.kubectl('get', 'pods,synthesisruns', '-o', 'wide');
      throw new Error(`${pods}\n${this.transcript}`, { cause: thrown });
    }
  }

  /** Creates a run of the data and the prior here. */
  async begin(name: string, more: object = {}): Promise<void> {
    const data = '/var/lib/ballast/data';
    const paths = { data: { source: `${data}/shapes` }, prior: `${data}/prior.safetensors` };
    await this.apply({
      ...{ apiVersion: 'ballast.internal/v1alpha1', kind: 'SynthesisRun' },
      metadata: { name, namespace: NAMESPACE },
      spec: { config: await tinyValues({ ...paths, ...more }) },
    });
  }

  async statusOf(name: string): Promise<NonNullable<SynthesisRun['status']>> {
    return (await this.get<SynthesisRun>('synthesisrun', name)).status ?? {};
  }

  /** Waits for a complete epoch of a run. @throws Error if it ends before. */
  async reaches(name: string, epoch: number): Promise<void> {
    for (;;) {
      const status = await this.statusOf(name);
      if ((status.epoch ?? 0) >= epoch) return;
      if (status.completionTime) throw new Error(`${name} ended: ${JSON.stringify(status)}`);
      await delay(500);
    }
  }

  async isOver(name: string): Promise<boolean> {
    return (await this.statusOf(name)).completionTime !== undefined;
  }

  /** The status of a run once it has succeeded. */
  async succeeds(name: string): Promise<NonNullable<SynthesisRun['status']>> {
    await this.waits(`synthesisrun/${name}`, 'jsonpath={.status.completionTime}');
    const status = await this.statusOf(name);
    if (status.phase !== 'Succeeded') throw new Error(`${name}: ${status.message}\n${this.transcript}`);
    return status;
  }

  async folderOf(name: string): Promise<string> {
    return join(
      this.folder,
      'volumes',
      'ballast-runs',
      (await this.statusOf(name)).run!.slice('runs/'.length),
    );
  }

  async eventsOf(name: string, topic: string): Promise<BusEvent[]> {
    const text = readFileSync(join(await this.folderOf(name), 'events.jsonl'), 'utf8');
    return jsonLines<BusEvent>(text).filter((event) => event.topic === topic);
  }

  async pods(...flags: readonly string[]): Promise<readonly V1Pod[]> {
    return (await this.get<{ items: readonly V1Pod[] }>('pods', ...flags)).items;
  }

  /** The workers that the Deployment is to have. */
  async wantedWorkers(): Promise<number> {
    return (await this.get<V1Deployment>(WORKERS)).spec?.replicas ?? 0;
  }

  /** Does it, and keeps the time that it took as a figure. */
  async timed(what: string, work: () => Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    await work();
    this.figures.push(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }

  /** Seconds from a moment to the first image of a run. */
  async untilFirstImage(name: string, sinceMs: number): Promise<string> {
    const [first] = await this.eventsOf(name, 'shard.made');
    return ((Date.parse(first!.time) - sinceMs) / 1000).toFixed(1);
  }
}

/** A folder of this machine as the volume of a claim, for all nodes. */
function volumeFor(claim: string, size: string, path: string): object {
  return {
    ...{ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: claim } },
    spec: {
      ...{ capacity: { storage: size }, accessModes: ['ReadWriteOnce'] },
      ...{ persistentVolumeReclaimPolicy: 'Retain', hostPath: { path } },
      claimRef: { namespace: NAMESPACE, name: claim },
    },
  };
}
