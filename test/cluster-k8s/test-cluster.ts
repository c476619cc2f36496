/**
 * A cluster as the suite sees it: through kubectl and helm alone. KUBECONFIG names it, or it is one of this machine
 * (local-cluster.ts). The suite has a namespace of its own there, and a release of the chart with data and a prior.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { SynthesisRun } from '../../controller/synthesis-run.ts';
import { tinyValues } from '../support/coordinator.ts';
import { Cluster } from '../support/k8s/control-plane.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { shapesData, shapesPrior } from '../support/suite.ts';
import { checkCluster, usableNodes } from './given-cluster.ts';
import { endOf, type HelperEnd, type HelperPod, helperPod, nodeCommand } from './helper-pod.ts';
import { LocalCluster, type LocalOptions, whyNoLocalCluster } from './local-cluster.ts';

export const MINUTES = 60_000;
export const WORKERS = 'deployment/ballast-diffusion-worker-cpu';
/** Labels of every pod of the release. */
export const RELEASE_LABELS = {
  'app.kubernetes.io/name': 'ballast',
  'app.kubernetes.io/instance': 'ballast',
};
export const WORKER_PODS = 'app.kubernetes.io/component=diffusion-worker';
export const RELEASE_PODS = 'app.kubernetes.io/instance=ballast';
/** Claims that stay when the release goes. */
export const CLAIMS = ['ballast-data', 'ballast-runs'];
const DEFINITION = 'crd/synthesisruns.ballast.internal';
const GIVEN = process.env['KUBECONFIG'];

/** Why there is no cluster to try; null if there is one, or if KUBECONFIG names one, which is looked at later. */
export function whyNoCluster(options: LocalOptions = {}): string | null {
  return GIVEN ? whyNotRendered() : whyNoLocalCluster(options);
}

/** Facts about a run, from its folder. */
export interface RunRecord {
  /** Times of `shard.made`, ISO 8601. */
  readonly firstShard: string;
  readonly lastShard: string;
  readonly redone: number;
  /** How often it was started or continued. */
  readonly starts: number;
  /** Of the report, which is there when the run has succeeded. */
  readonly weightsDigest: string;
}

export class TestCluster {
  /** For the transcript: seconds, as measured on a machine that does other things too. */
  readonly figures: string[] = [];
  readonly namespace = `ballast-e2e-${crypto.randomUUID().slice(0, 8)}`;
  /** Null where KUBECONFIG named it. */
  readonly local: LocalCluster | null;
  readonly cluster: Cluster;
  readonly #folder = mkdtempSync(join(tmpdir(), 'ballast-e2e-'));
  readonly #namespaces: string[] = [];
  #hadDefinition = true;
  #pattern: V1Deployment | null = null;
  #helpers = 0;

  private constructor(cluster: Cluster, local: LocalCluster | null) {
    [this.cluster, this.local] = [cluster, local];
  }

  /** @throws UserError where the cluster that KUBECONFIG names does not serve */
  static async open(options: LocalOptions = {}): Promise<TestCluster> {
    const local = GIVEN ? null : await LocalCluster.start(options);
    const test = new TestCluster(local?.server.cluster ?? new Cluster(GIVEN!), local);
    if (local === null) await checkCluster(test.cluster);
    test.#hadDefinition = await test.has(DEFINITION);
    await test.createNamespace(test.namespace, { 'pod-security.kubernetes.io/enforce': 'restricted' });
    return test;
  }

  /** A namespace that goes with the test. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#namespaces.push(name);
    await this.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  }

  /** Prints the figures, and removes what was made; a cluster of this machine ends. */
  async close(): Promise<void> {
    if (process.env['BALLAST_SHOW_TRANSCRIPT'] !== undefined) process.stdout.write(await this.transcript());
    process.stdout.write(`${this.figures.join('\n')}\n`);
    if (this.local === null) await this.#cleanUp();
    else await this.local.stop();
    rmSync(this.#folder, { recursive: true });
  }

  async #cleanUp(): Promise<void> {
    const without = '--ignore-not-found';
    if (await this.has(DEFINITION)) {
      // Their controller, if it is still there, removes their finalisers.
      await this.kubectl('delete', 'synthesisruns', '--all', '--timeout=300s').catch(() => undefined);
      for (const { metadata } of (await this.get<{ items: SynthesisRun[] }>('synthesisruns')).items) {
        const none = ['--type=merge', '-p', '{"metadata":{"finalizers":null}}'];
        await this.kubectl('patch', 'synthesisrun', metadata.name, ...none).catch(() => undefined);
      }
    }
    await this.cluster
      .runHelm('-n', this.namespace, 'uninstall', 'ballast', '--wait', '--timeout', '10m', without)
      .catch((thrown: unknown) => this.figures.push(String(thrown)));
    await this.cluster.run('delete', 'namespace', ...this.#namespaces, without, '--timeout=900s');
    const others = this.#hadDefinition
      ? ['it was there']
      : await this.cluster.run('get', 'synthesisruns', '--all-namespaces', '-o', 'name').catch(() => '');
    if (others === '') await this.cluster.run('delete', DEFINITION, without, '--timeout=300s');
  }

  /** The output of the release's containers, as far as it can be had. */
  logs(): Promise<string> {
    const flags = ['-l', RELEASE_PODS, '--all-containers', '--prefix', '--tail=1000', '--ignore-errors'];
    return this.kubectl('logs', ...flags, '--max-log-requests=50').catch(() => '');
  }

  /** The same, and what the nodes of a cluster of this machine said. */
  async transcript(): Promise<string> {
    return [await this.logs(), this.local?.transcript ?? ''].join('\n');
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.cluster.run('-n', this.namespace, ...args);
  }

  async get<Value>(...args: readonly string[]): Promise<Value> {
    return JSON.parse(await this.kubectl('get', '-o', 'json', ...args)) as Value;
  }

  has(what: string): Promise<boolean> {
    return this.kubectl('get', what).then(
      () => true,
      () => false,
    );
  }

  /** How many nodes take pods. */
  nodes(): Promise<number> {
    return usableNodes(this.cluster);
  }

  async apply(object: object): Promise<void> {
    const file = join(this.#folder, `${crypto.randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(object));
    await this.cluster.run('apply', '--validate=strict', '-f', file);
  }

  /** Of the release: `install` or `upgrade`, by k8s/chart, the cluster's values and these flags. */
  async helm(what: 'install' | 'upgrade', ...flags: readonly string[]): Promise<void> {
    const file = this.local?.values ?? process.env['BALLAST_E2E_VALUES'];
    const values = file === undefined ? [] : ['--values', file];
    const release = ['-n', this.namespace, what, 'ballast', 'k8s/chart', ...values];
    await this.cluster.runHelm(...release, ...flags);
  }

  /** Waits for a condition. @throws Error with pods and the output of their containers */
  async waits(what: string, condition: string): Promise<void> {
    try {
      await this.kubectl('wait', what, `--for=${condition}`, '--timeout=900s');
    } catch (thrown) {
      const pods = await this.kubectl('get', 'pods,synthesisruns', '-o', 'wide');
      throw new Error(`${pods}\n${await this.transcript()}`, { cause: thrown });
    }
  }

  /** Puts the data and the prior of `begin` into the release's volume. */
  async load(): Promise<void> {
    const [shapes, prior] = [await shapesData(), await shapesPrior()];
    const archive = join(this.#folder, 'data.tgz');
    const parts = [shapes, prior].flatMap((path) => ['-C', dirname(path), basename(path)]);
    execFileSync('tar', ['-czf', archive, ...parts]);
    const file = `--from-file=${archive}`; // far below a config map's limit of 1 MiB
    await this.kubectl('create', 'configmap', 'e2e-data', file);
    const { code, message } = await this.runHelper({
      command: ['tar', '-xzf', '/e2e/archive/data.tgz', '-C', '/e2e/data', '--no-same-owner', '-m'],
      volumes: {
        archive: { configMap: { name: 'e2e-data' } },
        data: { persistentVolumeClaim: { claimName: 'ballast-data' } },
      },
    });
    if (code !== 0) throw new Error(`the data could not be loaded: ${message}`);
  }

  /** Creates a run of the data and the prior here. */
  async begin(name: string, more: object = {}): Promise<void> {
    const data = '/var/lib/ballast/data';
    const paths = { data: { source: `${data}/shapes` }, prior: `${data}/prior.safetensors` };
    await this.apply({
      ...{ apiVersion: 'ballast.internal/v1alpha1', kind: 'SynthesisRun' },
      metadata: { name, namespace: this.namespace },
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
    if (status.phase !== 'Succeeded')
      throw new Error(`${name}: ${status.message}\n${await this.transcript()}`);
    return status;
  }

  /** Reads the folder of a run that has succeeded, by a pod that mounts the volume of runs. */
  async recordOf(name: string): Promise<RunRecord> {
    const run = (await this.statusOf(name)).run!.slice('runs/'.length);
    const { code, message } = await this.runHelper({
      command: nodeCommand(READ_RUN, `/e2e/runs/${run}`),
      volumes: { runs: { persistentVolumeClaim: { claimName: 'ballast-runs' } } },
      readOnly: true,
    });
    if (code !== 0) throw new Error(`the folder of ${name} could not be read: ${message}`);
    return JSON.parse(message) as RunRecord;
  }

  async pods(...flags: readonly string[]): Promise<readonly V1Pod[]> {
    return (await this.get<{ items: readonly V1Pod[] }>('pods', ...flags)).items;
  }

  /** Those of the release. */
  releasePods(): Promise<readonly V1Pod[]> {
    return this.pods('-l', RELEASE_PODS);
  }

  /** The workers that the Deployment is to have. */
  async wantedWorkers(): Promise<number> {
    return (await this.get<V1Deployment>(WORKERS)).spec?.replicas ?? 0;
  }

  /** Runs a pod to its end, and removes it. */
  async runHelper(
    helper: Omit<HelperPod, 'name' | 'namespace'> & { namespace?: string },
  ): Promise<HelperEnd> {
    const pod = await this.startHelper(helper);
    const { name, namespace } = pod.metadata as { name: string; namespace: string };
    const find = ['-n', namespace, 'get', 'pod', name, '-o', 'json'];
    for (;;) {
      const end = endOf(JSON.parse(await this.cluster.run(...find)) as V1Pod);
      if (end === null) {
        await delay(500);
        continue;
      }
      await this.cluster.run('-n', namespace, 'delete', 'pod', name, '--wait=false');
      return end;
    }
  }

  /** Starts one, and does not wait for it. */
  async startHelper(helper: Omit<HelperPod, 'name' | 'namespace'> & { namespace?: string }): Promise<V1Pod> {
    this.#pattern ??= await this.get<V1Deployment>('deployment/ballast-coordinator');
    const name = `e2e-${++this.#helpers}`;
    const pod = helperPod({ namespace: this.namespace, ...helper, name }, this.#pattern);
    await this.apply(pod);
    return pod;
  }

  /** Does it, and keeps the time that it took as a figure. */
  async timed(what: string, work: () => Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    await work();
    this.figures.push(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
}

/** Seconds from a moment of this machine to the first image of a run. */
export function untilFirstImage({ firstShard }: RunRecord, sinceMs: number): string {
  return ((Date.parse(firstShard) - sinceMs) / 1000).toFixed(1);
}

const READ_RUN = `
const { readFileSync, writeFileSync } = require('node:fs');
const read = (file) => readFileSync(process.argv[1] + '/' + file, 'utf8');
const events = read('events.jsonl').trim().split('\\n').map((line) => JSON.parse(line));
const times = events.filter(({ topic }) => topic === 'shard.made').map(({ time }) => time);
writeFileSync('/dev/termination-log', JSON.stringify({
  firstShard: times[0],
  lastShard: times.at(-1),
  redone: events.filter(({ topic }) => topic === 'shard.redone').length,
  starts: JSON.parse(read('environment.json')).starts.length,
  weightsDigest: JSON.parse(read('report.json')).weightsDigest,
}));
`;
