// The chart in a cluster, that of KUBECONFIG or one of this machine (test-cluster.ts): helm installs it, and a SynthesisRun ends
// with the weights of a run on one machine, also where a worker is drained, the release is upgraded, or workers begin at zero.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { EPOCHS as SHORT, readReport, referenceRun } from '../support/suite.ts';
import { enforcesPolicies, listener, reachedBy, type Stranger } from './strangers.ts';
import {
  CLAIMS,
  MINUTES,
  RELEASE_LABELS,
  RELEASE_PODS,
  TestCluster,
  untilFirstImage,
  whyNoCluster,
  WORKER_PODS,
  WORKERS,
} from './test-cluster.ts';

const missing = whyNoCluster();

const DEPLOYMENTS = ['coordinator', 'classifier-trainer', 'controller', 'diffusion-worker-cpu'].map(
  (name) => `ballast-${name}`,
);
/** Of a long run: a drain or an upgrade is over before its end. */
const EPOCHS = 16;

describe.skipIf(missing !== null)(missing === null ? 'a cluster' : `a cluster (skipped: ${missing})`, () => {
  let cluster: TestCluster;
  let calm: string;

  const long = { training: { epochs: EPOCHS, batchSize: 4 } };

  beforeAll(async () => {
    cluster = await TestCluster.open();
    await cluster.timed('helm install until all Deployments are available', async () => {
      await cluster.helm('install');
      for (const name of DEPLOYMENTS) await cluster.waits(`deployment/${name}`, 'condition=Available');
    });
    await cluster.load();
  }, 40 * MINUTES);

  afterAll(() => cluster?.close(), 20 * MINUTES);

  it(
    'does a SynthesisRun, which ends with the weights of a run on one machine',
    async () => {
      const createdMs = Date.now();
      await cluster.begin('first');
      const status = await cluster.succeeds('first');
      const report = readReport((await referenceRun()).dir);
      const logs = await cluster.logs();
      expect(logs).toContain('object served');
      expect(logs).not.toContain('the object has been modified'); // by the controller itself, that is
      expect(status).toMatchObject({ epoch: SHORT, epochs: SHORT });
      if (cluster.local !== null) expect(status.weightsDigest).toBe(report.weightsDigest); // other processors round otherwise
      expect(status.metrics?.balancedAccuracy).toBeCloseTo(report.test!.balancedAccuracy, 4); // it has four digits
      const conditions = (status.conditions ?? []).filter((condition) => condition.status === 'True');
      expect(conditions.map(({ type }) => type).sort()).toEqual(['Accepted', 'Succeeded']);
      const record = await cluster.recordOf('first');
      cluster.figures.push(
        `creation to first image, two workers there: ${untilFirstImage(record, createdMs)} s`,
      );
      await cluster.begin('calm', long);
      await cluster.timed('the long run, left alone', async () => {
        calm = (await cluster.succeeds('calm')).weightsDigest!;
      });
    },
    30 * MINUTES,
  );

  it(
    'passes `helm test`: a run over the API, from a pod, that ends with an image and leaves nothing',
    async () => {
      const flags = ['test', 'ballast', '--timeout', '20m'];
      await cluster.timed('helm test', () => cluster.cluster.runHelm('-n', cluster.namespace, ...flags));
      const of = ['-l', 'app.kubernetes.io/component=test', '-o', 'name'];
      expect(await cluster.kubectl('get', 'pods,configmaps,networkpolicies', ...of)).toBe('');
    },
    25 * MINUTES,
  );

  it(
    'is reached only by those whom its network policies name',
    async (context) => {
      context.skip(!(await enforcesPolicies(cluster)), 'the cluster does not enforce network policies');
      const addressOf = async (component: string) =>
        (await cluster.releasePods()).find(
          ({ metadata }) => metadata?.labels?.['app.kubernetes.io/component'] === component,
        )!.status!.podIP!;
      const [coordinator, nats] = [await addressOf('coordinator'), await addressOf('nats')];
      const targets = {
        'the API': `${coordinator}:4800`,
        'the registry': `${coordinator}:4700`,
        'the trainer': `${await addressOf('classifier-trainer')}:4700`,
        'a worker': `${await addressOf('diffusion-worker')}:4700`,
        NATS: `${nats}:4222`,
        'its monitor': `${nats}:8222`,
        metrics: `${coordinator}:9464`,
        'another pod': await listener(cluster, {}),
      };
      const elsewhere = `${cluster.namespace}-strangers`;
      await cluster.createNamespace(elsewhere);
      const client = { 'ballast-api-client': 'true' };
      const component = (name: string) => ({ ...RELEASE_LABELS, 'app.kubernetes.io/component': name });
      const reached = (stranger: Stranger) => reachedBy(cluster, stranger, targets);
      expect(await reached({})).toEqual(['another pod']);
      expect(await reached({ labels: client })).toEqual(['the API', 'another pod']);
      expect(await reached({ namespace: elsewhere })).toEqual(['another pod']);
      expect(await reached({ namespace: elsewhere, labels: client })).toEqual(['the API', 'another pod']);
      expect(await reached({ namespace: elsewhere, labels: component('diffusion-worker') })).toEqual([
        'another pod',
      ]);
      // Of the release: what is named, and nothing else.
      expect(await reached({ labels: component('other') })).toEqual([]);
      const nodes = ['the API', 'the registry', 'the trainer', 'a worker'];
      expect(await reached({ labels: component('diffusion-worker') })).toEqual([...nodes, 'NATS', 'metrics']);
      expect(await reached({ labels: component('controller') })).toEqual(['the API']);
    },
    30 * MINUTES,
  );

  it(
    'loses no shard when the worker of a node is drained',
    async (context) => {
      context.skip((await cluster.nodes()) < 2, 'a drain needs two nodes');
      await cluster.begin('drained', long);
      await cluster.reaches('drained', 1);
      const [worker] = await cluster.pods('-l', WORKER_PODS);
      const node = worker!.spec!.nodeName!;
      const flags = ['--ignore-daemonsets', '--delete-emptydir-data', '--timeout=600s'];
      let wasOver: boolean;
      try {
        await cluster.timed('kubectl drain', () =>
          cluster.kubectl('drain', node, ...flags, '--pod-selector', WORKER_PODS),
        );
        wasOver = await cluster.isOver('drained');
      } finally {
        await cluster.kubectl('uncordon', node);
      }
      expect(wasOver, 'it ended before the drain did').toBe(false);
      const left = (await cluster.pods('-l', WORKER_PODS)).map(({ metadata }) => metadata?.name);
      expect(left).not.toContain(worker!.metadata!.name);
      expect((await cluster.succeeds('drained')).weightsDigest).toBe(calm);
      expect((await cluster.recordOf('drained')).redone).toBe(0);
    },
    30 * MINUTES,
  );

  it(
    'replaces every pod in the middle of a run when the release is upgraded',
    async () => {
      await cluster.begin('upgraded', long);
      await cluster.reaches('upgraded', 1);
      const names = async () => (await cluster.releasePods()).map(({ metadata }) => metadata!.name);
      const before = await names();
      const parts = ['coordinator', 'controller', 'trainer', 'worker.pools.cpu'];
      const changes = parts.flatMap((part) => ['--set-string', `${part}.podAnnotations.revision=2`]);
      await cluster.timed('helm upgrade until every Deployment is rolled out', async () => {
        await cluster.helm('upgrade', ...changes);
        for (const name of DEPLOYMENTS)
          await cluster.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=900s');
      });
      expect((await cluster.succeeds('upgraded')).weightsDigest).toBe(calm);
      const { starts } = await cluster.recordOf('upgraded');
      expect(starts, 'its coordinator was not replaced in its middle').toBeGreaterThan(1);
      await expect
        .poll(async () => (await names()).filter((name) => before.includes(name)))
        .toEqual(['ballast-nats-0']);
    },
    30 * MINUTES,
  );

  it(
    'begins a run with its first worker, where there are none',
    async () => {
      await cluster.kubectl('scale', WORKERS, '--replicas=0');
      await cluster.kubectl('wait', '--for=delete', 'pod', '-l', WORKER_PODS, '--timeout=600s');
      const createdMs = Date.now();
      await cluster.begin('waiting');
      await cluster.waits('synthesisrun/waiting', 'jsonpath={.status.phase}=Running');
      const scaledMs = Date.now();
      // As an autoscaler does it: a patch of the subresource `scale`.
      const scale = ['--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":2}}'];
      await cluster.kubectl('patch', WORKERS, ...scale);
      const { weightsDigest } = await cluster.statusOf('first');
      expect((await cluster.succeeds('waiting')).weightsDigest).toBe(weightsDigest);
      const record = await cluster.recordOf('waiting');
      const [created, scaled] = [untilFirstImage(record, createdMs), untilFirstImage(record, scaledMs)];
      cluster.figures.push(`creation to first image, no worker there: ${created} s`);
      cluster.figures.push(`of it, from the patch of scale: ${scaled} s`);
    },
    30 * MINUTES,
  );

  it(
    'keeps runs and data when the release is uninstalled',
    async () => {
      const uninstall = ['uninstall', 'ballast', '--wait', '--timeout', '10m'];
      await cluster.cluster.runHelm('-n', cluster.namespace, ...uninstall);
      await cluster.kubectl('wait', '--for=delete', 'pod', '-l', RELEASE_PODS, '--timeout=600s');
      // NATS's claim goes with its StatefulSet, a moment later.
      await eventually(async () => {
        const { items } = await cluster.get<{ items: { metadata: { name: string } }[] }>('pvc');
        expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(CLAIMS);
      });
      const { weightsDigest } = await cluster.statusOf('first');
      expect((await cluster.recordOf('first')).weightsDigest).toBe(weightsDigest);
    },
    15 * MINUTES,
  );
});
