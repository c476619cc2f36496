// KEDA in a cluster (test-cluster.ts): its operator and its metrics server ask a Prometheus that scrapes the release's pods, and
// with Kubernetes's own autoscaler give a run its workers, from zero and back, also while nobody knows the backlog.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Keda, whyNoKeda } from '../support/k8s/keda.ts';
import { createDefinitions } from '../support/k8s/modules.ts';
import { jobOf, type PodMonitor, writeTargets } from '../support/k8s/pod-targets.ts';
import { hasPrometheus, Prometheus } from '../support/prometheus.ts';
import { readReport, referenceRun } from '../support/suite.ts';
import { MINUTES, TestCluster, whyNoCluster, WORKER_PODS } from './test-cluster.ts';

const missing = whyNoCluster() ?? whyNoKeda() ?? (hasPrometheus ? null : 'prometheus is not there');

const MOST_WORKERS = 2;
const SCALED_OBJECT = 'scaledobject/ballast-diffusion-worker-cpu';
const AUTOSCALER = 'keda-hpa-ballast-diffusion-worker-cpu';
interface PrometheusRule {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly { readonly alert?: string; readonly expr: string }[];
    }[];
  };
}

/** Nothing ends it but its deletion. */
const ENDLESS = { training: { epochs: 5000, batchSize: 4 } };

describe.skipIf(missing !== null)(missing === null ? 'KEDA' : `KEDA (skipped: ${missing})`, () => {
  let cluster: TestCluster;
  let keda: Keda;
  let prometheus: Prometheus;
  let digest: string;
  /** Whether Prometheus is told of the coordinator. */
  let isCoordinatorScraped = true;
  let isOver = false;
  let watching: Promise<void>;
  /** Every number of workers that the Deployment was to have, in order. */
  const history: number[] = [];

  const startPrometheus = async () => {
    const monitor = await cluster.get<PodMonitor>('podmonitor', 'ballast');
    const folder = join(cluster.folder, 'prometheus');
    mkdirSync(folder, { recursive: true });
    const scrapeConfigs = [jobOf(monitor, join(cluster.folder, 'targets.json'))];
    const [host, operator] = cluster.spare;
    const targets = [{ job: 'keda', address: `${operator!.address}:8080` }];
    prometheus = await Prometheus.start({ folder, targets, ruleFiles: [], scrapeConfigs, host: host! });
  };

  const watch = async () => {
    while (!isOver) {
      const pods = await cluster.pods();
      const seen = pods.filter(
        ({ metadata }) =>
          isCoordinatorScraped || metadata?.labels?.['app.kubernetes.io/component'] !== 'coordinator',
      );
      writeTargets(join(cluster.folder, 'targets.json'), seen);
      const wanted = await cluster.wantedWorkers();
      if (wanted !== history.at(-1)) history.push(wanted);
      await delay(500);
    }
  };

  /** @throws Error with what KEDA says, where a wait comes to its end */
  const eventually = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (thrown) {
      const objects = await cluster.kubectl('get', 'scaledobject,hpa,synthesisrun,pod', '-o', 'wide');
      const messages = await cluster.kubectl('get', 'events', '--sort-by=.lastTimestamp');
      const text = `${what}\n${history.join(' ')}\n${objects}\n${messages}\n${keda.transcript}`;
      throw new Error(text, { cause: thrown });
    }
  };
  const wants = (count: number) =>
    eventually(`${count} workers`, () =>
      expect.poll(() => cluster.wantedWorkers(), { timeout: 15 * MINUTES, interval: 1000 }).toBe(count),
    );
  const hasWorkers = async (count: number) => {
    await wants(count);
    await eventually('workers are ready', () =>
      expect
        .poll(
          async () => {
            const pods = await cluster.pods('-l', WORKER_PODS);
            return pods.filter(({ status }) =>
              status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
            ).length;
          },
          { timeout: 15 * MINUTES, interval: 1000 },
        )
        .toBe(count),
    );
  };
  const fallsBack = (is: 'True' | 'False') =>
    eventually(`fallback ${is}`, () => cluster.waits(SCALED_OBJECT, `condition=Fallback=${is}`));
  const ends = (name: string) =>
    eventually(name, async () => {
      expect((await cluster.succeeds(name)).weightsDigest).toBe(digest);
    });
  const remove = (name: string) => cluster.kubectl('delete', 'synthesisrun', name, '--timeout=900s');
  /** Waits until Kubernetes's autoscaler goes by the fallback: what it is told is worth just the present workers. */
  const keepsWorkers = () =>
    eventually('the autoscaler keeps the workers', () =>
      expect
        .poll(
          async () => {
            const { status } = await cluster.get<V2HorizontalPodAutoscaler>('hpa', AUTOSCALER);
            return [status?.currentMetrics?.[0]?.external?.current.averageValue, status?.desiredReplicas];
          },
          { timeout: 15 * MINUTES, interval: 1000 },
        )
        .toEqual(['1', MOST_WORKERS]),
    );

  /** Whether the rule of an alert would count the scaler among its cases; the alert waits minutes longer. */
  const isSeenBy = async (alert: string) => {
    const rules = await cluster.get<PrometheusRule>('prometheusrule', 'ballast');
    const rule = rules.spec.groups.flatMap((group) => group.rules).find((each) => each.alert === alert);
    const series = await prometheus.query(rule!.expr);
    return series.some(({ metric }) => `scaledobject/${metric['scaledObject']}` === SCALED_OBJECT);
  };

  /** Ways in which nobody knows the backlog. */
  const blindness = {
    'Prometheus is away': { begin: () => prometheus.stop(), end: () => startPrometheus() },
    'Prometheus does not scrape the coordinator': {
      begin: () => void (isCoordinatorScraped = false),
      end: () => void (isCoordinatorScraped = true),
    },
  };

  beforeAll(async () => {
    digest = readReport((await referenceRun()).dir).weightsDigest;
    cluster = await TestCluster.start(3);
    createDefinitions(cluster.server.cluster, ['prometheus-operator']);
    const [scraper, operator, metrics] = cluster.spare;
    await cluster.timed('KEDA, until external metrics are available', async () => {
      keda = await Keda.start({
        ...{ server: cluster.server, hosts: [operator!, metrics!], folder: join(cluster.folder, 'keda') },
      });
    });
    const values = {
      'monitoring.enabled': 'true',
      'autoscaling.enabled': 'true',
      'autoscaling.prometheusAddress': `http://${scraper!.address}:9090`,
      'autoscaling.secondsPerWorker': '1',
      'autoscaling.windowMinutes': '1',
      'autoscaling.pollingSeconds': '5',
      'autoscaling.cooldownSeconds': '20',
      'worker.pools.cpu.maxReplicas': String(MOST_WORKERS),
      'coordinator.maxRuns': '1', // a second run waits
    };
    await cluster.helm(
      'install',
      ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    );
    watching = watch();
    for (const name of ['coordinator', 'classifier-trainer', 'controller'])
      await cluster.waits(`deployment/ballast-${name}`, 'condition=Available');
    await startPrometheus();
  }, 40 * MINUTES);

  afterAll(async () => {
    isOver = true;
    await watching?.catch(() => undefined);
    if (process.env['BALLAST_SHOW_TRANSCRIPT'] !== undefined) process.stdout.write(keda.transcript);
    await keda?.stop();
    await prometheus?.stop();
    await cluster?.stop();
  }, 2 * MINUTES);

  it(
    'brings the workers of a run, while another waits, and takes them away after both',
    async () => {
      await wants(0); // of a release that has nothing to do
      history.length = 0;
      const createdMs = Date.now();
      await cluster.begin('one');
      await cluster.begin('other');
      await hasWorkers(MOST_WORKERS);
      for (const name of ['one', 'other']) await ends(name);
      const made = async (name: string) =>
        (await cluster.eventsOf(name, 'shard.made')).map(({ time }) => Date.parse(time));
      expect(Math.min(...(await made('other')))).toBeGreaterThan(Math.max(...(await made('one'))));
      const firstImage = await cluster.untilFirstImage('one', createdMs);
      cluster.figures.push(`creation to first image, from zero by KEDA: ${firstImage} s`);
      await cluster.timed('from the end of the last run to zero workers', () => wants(0));
      expect(history).toContain(MOST_WORKERS);
      expect(history.at(-1)).toBe(0);
    },
    60 * MINUTES,
  );

  it.each(Object.entries(blindness))(
    'keeps the workers of a run, which then do the next one, while %s',
    async (_, { begin, end }) => {
      await cluster.begin('endless', ENDLESS);
      await cluster.begin('next');
      await hasWorkers(MOST_WORKERS);
      history.length = 0;
      await begin();
      await cluster.timed('from the loss of the backlog to the fallback', () => fallsBack('True'));
      await keepsWorkers();
      expect(await cluster.isOver('endless')).toBe(false);
      await remove('endless'); // which cancels it
      await ends('next');
      expect(history).toEqual([MOST_WORKERS]);
      if (!isCoordinatorScraped) expect(await isSeenBy('BallastAutoscalerBlind')).toBe(true);
      await end();
      await fallsBack('False');
      await wants(0);
      await remove('next');
    },
    60 * MINUTES,
  );

  it.each(Object.entries(blindness))(
    'brings a worker to a run that has none while %s',
    async (_, { begin, end }) => {
      await begin();
      const createdMs = Date.now();
      await cluster.begin('unseen');
      await hasWorkers(1);
      await ends('unseen');
      const firstImage = await cluster.untilFirstImage('unseen', createdMs);
      cluster.figures.push(`creation to first image, from zero without a backlog: ${firstImage} s`);
      expect(await cluster.wantedWorkers()).toBe(1);
      await end();
      await fallsBack('False');
      await wants(0);
      await remove('unseen');
    },
    60 * MINUTES,
  );
});
