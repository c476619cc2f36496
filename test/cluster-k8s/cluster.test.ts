// The chart in a cluster: helm installs it, Kubernetes's own controllers and scheduler create and place its pods, and an
// agent in place of kubelets runs them as containers (agent/). A SynthesisRun ends with the weights of a run on one
// machine, also where a worker is drained, the release is upgraded, or workers begin at zero.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EPOCHS as SHORT, readReport, referenceRun } from '../support/suite.ts';
import {
  CLAIMS,
  MINUTES,
  NAMESPACE,
  TestCluster,
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
    cluster = await TestCluster.start();
    await cluster.timed('helm install until all Deployments are available', async () => {
      await cluster.helm('install');
      for (const name of DEPLOYMENTS) await cluster.waits(`deployment/${name}`, 'condition=Available');
    });
  }, 40 * MINUTES);

  afterAll(() => cluster?.stop(), 2 * MINUTES);

  it(
    'does a SynthesisRun, which ends with the weights of a run on one machine',
    async () => {
      const createdMs = Date.now();
      await cluster.begin('first');
      const status = await cluster.succeeds('first');
      const report = readReport((await referenceRun()).dir);
      expect(cluster.transcript).not.toContain('the object has been modified'); // by the controller itself, that is
      expect(status).toMatchObject({ epoch: SHORT, epochs: SHORT, weightsDigest: report.weightsDigest });
      expect(status.metrics?.balancedAccuracy).toBeCloseTo(report.test!.balancedAccuracy, 4); // it has four digits
      const conditions = (status.conditions ?? []).filter((condition) => condition.status === 'True');
      expect(conditions.map(({ type }) => type).sort()).toEqual(['Accepted', 'Succeeded']);
      cluster.figures.push(
        `creation to first image, two workers there: ${await cluster.untilFirstImage('first', createdMs)} s`,
      );
      await cluster.begin('calm', long);
      await cluster.timed('the long run, left alone', async () => {
        calm = (await cluster.succeeds('calm')).weightsDigest!;
      });
    },
    30 * MINUTES,
  );

  it(
    'loses no shard when the worker of a node is drained',
    async () => {
      await cluster.begin('drained', long);
      await cluster.reaches('drained', 1);
      const [worker] = await cluster.pods('-l', WORKER_PODS);
      const node = worker!.spec!.nodeName!;
      const flags = ['--ignore-daemonsets', '--delete-emptydir-data', '--timeout=600s'];
      await cluster.timed('kubectl drain', () =>
        cluster.kubectl('drain', node, ...flags, '--pod-selector', WORKER_PODS),
      );
      expect(await cluster.isOver('drained'), 'it ended before the drain did').toBe(false);
      await cluster.kubectl('uncordon', node);
      const left = (await cluster.pods('-l', WORKER_PODS)).map(({ metadata }) => metadata?.name);
      expect(left).not.toContain(worker!.metadata!.name);
      expect((await cluster.succeeds('drained')).weightsDigest).toBe(calm);
      expect(await cluster.eventsOf('drained', 'shard.redone')).toEqual([]);
    },
    30 * MINUTES,
  );

  it(
    'replaces every pod in the middle of a run when the release is upgraded',
    async () => {
      await cluster.begin('upgraded', long);
      await cluster.reaches('upgraded', 1);
      const names = async () => (await cluster.pods()).map(({ metadata }) => metadata!.name);
      const before = await names();
      const parts = ['coordinator', 'controller', 'trainer', 'worker.pools.cpu'];
      const changes = parts.flatMap((part) => ['--set-string', `${part}.podAnnotations.revision=2`]);
      await cluster.timed('helm upgrade until every Deployment is rolled out', async () => {
        await cluster.helm('upgrade', ...changes);
        for (const name of DEPLOYMENTS)
          await cluster.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=900s');
      });
      expect((await cluster.succeeds('upgraded')).weightsDigest).toBe(calm);
      const text = readFileSync(join(await cluster.folderOf('upgraded'), 'environment.json'), 'utf8');
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
      const [created, scaled] = [
        await cluster.untilFirstImage('waiting', createdMs),
        await cluster.untilFirstImage('waiting', scaledMs),
      ];
      cluster.figures.push(`creation to first image, no worker there: ${created} s`);
      cluster.figures.push(`of it, from the patch of scale: ${scaled} s`);
    },
    30 * MINUTES,
  );

  it(
    'keeps runs and data when the release is uninstalled',
    async () => {
      const kept = await cluster.folderOf('first');
      await cluster.server.cluster.runHelm(
        '-n',
        NAMESPACE,
        'uninstall',
        'ballast',
        '--wait',
        '--timeout',
        '10m',
      );
      await cluster.kubectl('wait', '--for=delete', 'pod', '--all', '--timeout=600s');
      const { items } = await cluster.get<{ items: { metadata: { name: string } }[] }>('pvc');
      expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(Object.keys(CLAIMS).sort());
      expect(readReport(kept).weightsDigest).toBe((await cluster.statusOf('first')).weightsDigest);
    },
    15 * MINUTES,
  );
});
