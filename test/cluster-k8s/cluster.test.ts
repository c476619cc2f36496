// The chart in a cluster: helm installs it, Kubernetes's own controllers and scheduler create and place its pods, and an
// agent in place of kubelets runs them as containers (agent/). A SynthesisRun ends with the weights of a run on one
// machine, also where a worker is drained, the release is upgraded, or workers begin at zero.
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
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BusEvent } from '../../actors/control/event-bus.ts';
import type { SynthesisRun } from '../../controller/synthesis-run.ts';
import { tinyValues } from '../support/coordinator.ts';
import { type ApiServer, startApiServer, whyNoControlPlane } from '../support/k8s/control-plane.ts';
import { whyNotRendered } from '../support/k8s/objects.ts';
import { USER, whyNoContainers } from '../support/k8s/runc.ts';
import { hasNats } from '../support/nats.ts';
import { TestNetwork } from '../support/network.ts';
import {
  EPOCHS as SHORT,
  jsonLines,
  readReport,
  referenceRun,
  shapesData,
  shapesPrior,
} from '../support/suite.ts';
import { NodeAgent } from './agent/node-agent.ts';

const missing =
  whyNoControlPlane() ??
  whyNotRendered() ??
  whyNoContainers() ??
  (hasNats ? null : 'nats-server is not there') ??
  (TestNetwork.isPossible() ? null : 'no network can be made');

const NAMESPACE = 'ballast';
const NODES = ['machine-a', 'machine-b', 'machine-c'];
/** One at a time for each pod, and those that end. */
const ADDRESSES = 40;
const MINUTES = 60_000;
const DEPLOYMENTS = ['coordinator', 'classifier-trainer', 'controller', 'diffusion-worker-cpu'].map(
  (name) => `ballast-${name}`,
);
const WORKERS = 'deployment/ballast-diffusion-worker-cpu';
/** Of a long run: a drain or an upgrade is over before its end. */
const EPOCHS = 16;

describe.skipIf(missing !== null)(missing === null ? 'a cluster' : `a cluster (skipped: ${missing})`, () => {
  let folder: string;
  let network: TestNetwork;
  let server: ApiServer;
  let agent: NodeAgent;
  let calm: string;

  const kubectl = (...args: string[]) => server.cluster.run('-n', NAMESPACE, ...args);
  const json = async <Value>(...args: string[]) =>
    JSON.parse(await kubectl('get', '-o', 'json', ...args)) as Value;
  const applied = async (object: object) => {
    const file = join(folder, `${crypto.randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(object));
    await kubectl('apply', '--validate=strict', '-f', file);
  };
  /** Waits for a condition. @throws Error with pods and the output of their containers */
  const waits = async (what: string, condition: string) => {
    try {
      await kubectl('wait', what, `--for=${condition}`, '--timeout=900s');
    } catch (thrown) {
      const pods = await kubectl('get', 'pods,synthesisruns', '-o', 'wide');
      throw new Error(`${pods}\n${agent.transcript}`, { cause: thrown });
    }
  };

  const begin = async (name: string, more: object = {}) => {
    const data = '/var/lib/ballast/data';
    const paths = { data: { source: `${data}/shapes` }, prior: `${data}/prior.safetensors` };
    await applied({
      ...{ apiVersion: 'ballast.internal/v1alpha1', kind: 'SynthesisRun' },
      metadata: { name, namespace: NAMESPACE },
      spec: { config: await tinyValues({ ...paths, ...more }) },
    });
  };
  const long = { training: { epochs: EPOCHS, batchSize: 4 } };
  const statusOf = async (name: string) => (await json<SynthesisRun>('synthesisrun', name)).status ?? {};
  const reaches = async (name: string, epoch: number) => {
    for (;;) {
      const status = await statusOf(name);
      if ((status.epoch ?? 0) >= epoch) return;
      if (status.completionTime) throw new Error(`${name} ended: ${JSON.stringify(status)}`);
      await delay(500);
    }
  };
  const isOver = async (name: string) => (await statusOf(name)).completionTime !== undefined;
  /** The status of a run once it has succeeded. */
  const succeeds = async (name: string) => {
    await waits(`synthesisrun/${name}`, 'jsonpath={.status.completionTime}');
    const status = await statusOf(name);
    if (status.phase !== 'Succeeded') throw new Error(`${name}: ${status.message}\n${agent.transcript}`);
    return status;
  };
  const folderOf = async (name: string) =>
    join(folder, 'volumes', 'ballast-runs', (await statusOf(name)).run!.slice('runs/'.length));
  const eventsOf = async (name: string, topic: string) => {
    const text = readFileSync(join(await folderOf(name), 'events.jsonl'), 'utf8');
    return jsonLines<BusEvent>(text).filter((event) => event.topic === topic);
  };

  interface PodList {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly nodeName: string };
    }[];
  }
  const workers = async () =>
    (await json<PodList>('pods', '-l', 'app.kubernetes.io/component=diffusion-worker')).items;
  /** For the transcript: seconds, as measured on a machine that does other things too. */
  const figures: string[] = [];
  const timed = async (what: string, work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    figures.push(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ballast-cluster-'));
    chmodSync(folder, 0o755);
    network = TestNetwork.create(ADDRESSES)!;
    const { address: host } = network;
    server = await startApiServer(join(folder, 'control-plane'), { host, isWhole: true });
    agent = await NodeAgent.start({
      ...{ kubeconfig: server.cluster.kubeconfig, nodes: NODES, network, apiServer: server.address },
      folder: join(folder, 'pods'),
    });
    await server.cluster.run('create', 'namespace', NAMESPACE);
    await server.cluster.run(
      'label',
      'namespace',
      NAMESPACE,
      'pod-security.kubernetes.io/enforce=restricted',
    );
    for (const [name, size] of Object.entries(CLAIMS)) {
      const path = join(folder, 'volumes', name);
      mkdirSync(path, { recursive: true });
      chownSync(path, USER, USER);
      await applied(volumeFor(name, size, path));
    }
    const data = join(folder, 'volumes', 'ballast-data');
    cpSync(await shapesData(), join(data, 'shapes'), { recursive: true });
    cpSync(await shapesPrior(), join(data, 'prior.safetensors'));
    chownSync(join(data, 'prior.safetensors'), USER, USER); // its owner alone may read a model
    await timed('helm install until all Deployments are available', async () => {
      await server.cluster.runHelm('-n', NAMESPACE, 'install', 'ballast', 'k8s/chart', ...values());
      for (const name of DEPLOYMENTS) await waits(`deployment/${name}`, 'condition=Available');
    });
  }, 40 * MINUTES);

  const values = () => ['--set', `networkPolicy.apiServer.ports={${server.address.port}}`];

  afterAll(async () => {
    if (process.env['BALLAST_SHOW_TRANSCRIPT'] !== undefined) process.stdout.write(agent.transcript);
    process.stdout.write(`${figures.join('\n')}\n`);
    await agent?.stop();
    await server?.stop();
    network?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  }, 2 * MINUTES);

  it(
    'does a SynthesisRun, which ends with the weights of a run on one machine',
    async () => {
      const createdMs = Date.now();
      await begin('first');
      const status = await succeeds('first');
      const report = readReport((await referenceRun()).dir);
      expect(agent.transcript).not.toContain('the object has been modified'); // by the controller itself, that is
      expect(status).toMatchObject({ epoch: SHORT, epochs: SHORT, weightsDigest: report.weightsDigest });
      expect(status.metrics?.balancedAccuracy).toBeCloseTo(report.test!.balancedAccuracy, 4); // it has four digits
      const conditions = (status.conditions ?? []).filter((condition) => condition.status === 'True');
      expect(conditions.map(({ type }) => type).sort()).toEqual(['Accepted', 'Succeeded']);
      figures.push(
        `creation to first image, two workers there: ${await untilFirstImage('first', createdMs)} s`,
      );
      await begin('calm', long);
      await timed('the long run, left alone', async () => (calm = (await succeeds('calm')).weightsDigest!));
    },
    30 * MINUTES,
  );

  const untilFirstImage = async (name: string, sinceMs: number) => {
    const [first] = await eventsOf(name, 'shard.made');
    return ((Date.parse(first!.time) - sinceMs) / 1000).toFixed(1);
  };

  it(
    'loses no shard when the worker of a node is drained',
    async () => {
      await begin('drained', long);
      await reaches('drained', 1);
      const [{ metadata, spec }] = (await workers()) as [PodList['items'][0]];
      await timed(
        'kubectl drain',
        () =>
        kubectl('drain', spec.nodeName, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=600s', '--pod-selector', 'app.kubernetes.io/component=diffusion-worker'), // prettier-ignore
      );
      expect(await isOver('drained'), 'it ended before the drain did').toBe(false);
      await kubectl('uncordon', spec.nodeName);
      expect((await workers()).map(({ metadata: { name } }) => name)).not.toContain(metadata.name);
      expect((await succeeds('drained')).weightsDigest).toBe(calm);
      expect(await eventsOf('drained', 'shard.redone')).toEqual([]);
    },
    30 * MINUTES,
  );

  it(
    'replaces every pod in the middle of a run when the release is upgraded',
    async () => {
      await begin('upgraded', long);
      await reaches('upgraded', 1);
      const names = async () => (await json<PodList>('pods')).items.map(({ metadata }) => metadata.name);
      const before = await names();
      const parts = ['coordinator', 'controller', 'trainer', 'worker.pools.cpu'];
      const changes = parts.flatMap((part) => ['--set-string', `${part}.podAnnotations.revision=2`]);
      await timed('helm upgrade until every Deployment is rolled out', async () => {
        await server.cluster.runHelm(
          '-n',
          NAMESPACE,
          'upgrade',
          'ballast',
          'k8s/chart',
          ...values(),
          ...changes,
        );
        for (const name of DEPLOYMENTS)
          await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=900s');
      });
      expect((await succeeds('upgraded')).weightsDigest).toBe(calm);
      const text = readFileSync(join(await folderOf('upgraded'), 'environment.json'), 'utf8');
      const { starts } = JSON.parse(text) as { starts: readonly unknown[] };
      expect(starts.length, 'its coordinator was not replaced in its middle').toBeGreaterThan(1);
      await expect
        .poll(async () => (await names()).filter((name) => before.includes(name)))
        .toEqual(['ballast-nats-0']);
    },
    30 * MINUTES,
  );

  it(
    'begins a run with its first worker, where there are none',
    async () => {
      await kubectl('scale', WORKERS, '--replicas=0');
      await kubectl('wait', '--for=delete', 'pod', '-l', 'app.kubernetes.io/component=diffusion-worker', '--timeout=600s'); // prettier-ignore
      const createdMs = Date.now();
      await begin('waiting');
      await waits('synthesisrun/waiting', 'jsonpath={.status.phase}=Running');
      const scaledMs = Date.now();
      // As an autoscaler does it: a patch of the subresource `scale`.
      await kubectl('patch', WORKERS, '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":2}}');
      expect((await succeeds('waiting')).weightsDigest).toBe((await statusOf('first')).weightsDigest);
      figures.push(
        `creation to first image, no worker there: ${await untilFirstImage('waiting', createdMs)} s`,
      );
      figures.push(`of it, from the patch of scale: ${await untilFirstImage('waiting', scaledMs)} s`);
    },
    30 * MINUTES,
  );

  it(
    'keeps runs and data when the release is uninstalled',
    async () => {
      const kept = await folderOf('first');
      await server.cluster.runHelm('-n', NAMESPACE, 'uninstall', 'ballast', '--wait', '--timeout', '10m');
      await kubectl('wait', '--for=delete', 'pod', '--all', '--timeout=600s');
      const { items } = await json<PodList>('pvc');
      expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(Object.keys(CLAIMS).sort());
      expect(readReport(kept).weightsDigest).toBe((await statusOf('first')).weightsDigest);
    },
    15 * MINUTES,
  );
});

/** Claims of the release, with the size of a volume for each. */
const CLAIMS = { 'ballast-runs': '10Gi', 'ballast-data': '10Gi', 'data-ballast-nats-0': '1Gi' };

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
