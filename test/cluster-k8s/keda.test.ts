// KEDA in a cluster (test-cluster.ts): with Kubernetes's own autoscaler it gives a run its workers, from zero and back, also while
// nobody knows the backlog, because Prometheus is away or does not scrape the coordinator.
import { setTimeout as delay } from 'node:timers/promises';
import type { V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import type { PodMonitor } from '../support/k8s/pod-targets.ts';
import { readReport, referenceRun } from '../support/suite.ts';
import { MINUTES, TestCluster, untilFirstImage, whyNoCluster, WORKER_PODS } from './test-cluster.ts';
import { reachedBy } from './strangers.ts';

const missing = whyNoCluster({ hasKeda: true });

const MOST_WORKERS = 2;
const SCALED_OBJECT = 'scaledobject/ballast-diffusion-worker-cpu';
const MONITOR = 'podmonitor/ballast';
const AUTOSCALER = 'keda-hpa-ballast-diffusion-worker-cpu';
interface ScaledObject {
  readonly spec: { readonly triggers: readonly { readonly metadata: { readonly serverAddress: string } }[] };
}
interface PrometheusRule {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly { readonly alert?: string; readonly expr: string }[];
    }[];
  };
}

/** Has work for two workers, however fast they are. */
const LARGE = {
  training: { epochs: 2, batchSize: 4 },
  synthesis: { budget: 3000, shardSize: 50 },
};
/** Nothing ends it but its deletion. */
const ENDLESS = { ...LARGE, training: { epochs: 5000, batchSize: 4 } };

/** A closed port of every pod of KEDA. */
const NOWHERE = 'http://127.0.0.1:9';

describe.skipIf(missing !== null)(missing === null ? 'KEDA' : `KEDA (skipped: ${missing})`, () => {
  let cluster: TestCluster;
  /** Why the cluster that KUBECONFIG names cannot do this. */
  let lack: string | null = null;
  let digest: string;
  let prometheus: string;
  let isCoordinatorScraped = true;
  let isOver = false;
  let watching: Promise<void>;
  /** Every number of workers that the Deployment was to have, in order. */
  const history: number[] = [];

  const watch = async () => {
    while (!isOver) {
      const wanted = await cluster.wantedWorkers().catch(() => null); // a busy server may be late
      if (wanted !== null && wanted !== history.at(-1)) history.push(wanted);
      await delay(500);
    }
  };

  /** @throws Error with what KEDA says, where a wait comes to its end */
  const explained = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (thrown) {
      const objects = await cluster.kubectl('get', 'scaledobject,hpa,synthesisrun,pod', '-o', 'wide');
      const messages = await cluster.kubectl('get', 'events', '--sort-by=.lastTimestamp');
      const text = `${what}\n${history.join(' ')}\n${objects}\n${messages}\n${await cluster.transcript()}`;
      throw new Error(text, { cause: thrown });
    }
  };
  /** Until a check passes; unlike `expect.poll`, in a hook too. */
  const until = (what: string, check: () => Promise<void>): Promise<void> =>
    explained(what, () => eventually(check, { patienceMs: 15 * MINUTES, everyMs: 1000 }));
  const wants = (count: number) =>
    until(`${count} workers`, async () => expect(await cluster.wantedWorkers()).toBe(count));
  const hasWorkers = async (count: number) => {
    await wants(count);
    await until('workers are ready', async () => {
      const pods = await cluster.pods('-l', WORKER_PODS);
      const ready = pods.filter(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      expect(ready).toHaveLength(count);
    });
  };
  const fallsBack = (is: 'True' | 'False') =>
    explained(`fallback ${is}`, () => cluster.waits(SCALED_OBJECT, `condition=Fallback=${is}`));
  const ends = (name: string) =>
    explained(name, async () => {
      expect((await cluster.succeeds(name)).weightsDigest).toBe(digest);
    });
  const remove = (name: string) => cluster.kubectl('delete', 'synthesisrun', name, '--timeout=900s');
  /** Waits until Kubernetes's autoscaler goes by the fallback: what it is told is worth just the present workers. */
  const keepsWorkers = () =>
    until('the autoscaler keeps the workers', async () => {
      const { status } = await cluster.get<V2HorizontalPodAutoscaler>('hpa', AUTOSCALER);
      const value = status?.currentMetrics?.[0]?.external?.current.averageValue;
      expect([value, status?.desiredReplicas]).toEqual(['1', MOST_WORKERS]);
    });

  /** Whether the rule of an alert would count the scaler among its cases; the alert waits minutes longer. */
  const isSeenBy = async (alert: string) => {
    const rules = await cluster.get<PrometheusRule>('prometheusrule', 'ballast');
    const rule = rules.spec.groups.flatMap((group) => group.rules).find((each) => each.alert === alert);
    const series = await cluster.local!.prometheus.query(rule!.expr);
    return series.some(({ metric }) => `scaledobject/${metric['scaledObject']}` === SCALED_OBJECT);
  };

  const patch = (what: string, ...operations: readonly object[]) =>
    cluster.kubectl('patch', what, '--type=json', '-p', JSON.stringify(operations));
  /** Where KEDA looks for Prometheus, in a cluster whose Prometheus is not ours to stop. */
  const lookAt = (value: string) =>
    patch(SCALED_OBJECT, { op: 'replace', path: '/spec/triggers/0/metadata/serverAddress', value });
  const scrapeOnly = async (components: readonly string[]) => {
    isCoordinatorScraped = components.includes('coordinator');
    const { spec } = await cluster.get<PodMonitor>(MONITOR);
    const selector = [{ ...spec.selector.matchExpressions![0]!, values: components }];
    await patch(MONITOR, { op: 'replace', path: '/spec/selector/matchExpressions', value: selector });
  };
  const PARTS = ['coordinator', 'classifier-trainer', 'diffusion-worker'];

  let restore: () => Promise<unknown> = () => Promise.resolve();
  const blind = async (begin: () => Promise<unknown>, end: () => Promise<unknown>) => {
    restore = async () => {
      restore = () => Promise.resolve();
      await end();
    };
    await begin();
  };
  /** Ways in which nobody knows the backlog. */
  const blindness = {
    'Prometheus is away': {
      begin: () => (cluster.local ? cluster.local.stopPrometheus() : lookAt(NOWHERE)),
      end: () => (cluster.local ? cluster.local.startPrometheus() : lookAt(prometheus)),
    },
    'Prometheus does not scrape the coordinator': {
      begin: () => scrapeOnly(PARTS.slice(1)),
      end: () => scrapeOnly(PARTS),
    },
  };

  /** Objects that the steps need in a cluster that is not made for them. */
  const whatLacks = async () => {
    for (const crd of ['scaledobjects.keda.sh', 'podmonitors.monitoring.coreos.com'])
      if (!(await cluster.has(`crd/${crd}`))) return `the cluster does not know ${crd}`;
    const metrics = ['get', '--raw', '/apis/external.metrics.k8s.io/v1beta1'];
    return cluster.cluster.run(...metrics).then(
      () => null,
      () => 'the cluster has no external metrics',
    );
  };

  /** Of a run in this cluster, whose processors may round otherwise than those of this machine. */
  const digestHere = async () => {
    await cluster.begin('reference');
    const { weightsDigest } = await cluster.succeeds('reference');
    await remove('reference');
    await wants(0);
    return weightsDigest!;
  };

  beforeAll(async () => {
    cluster = await TestCluster.open({ hasKeda: true });
    lack = await whatLacks();
    if (lack !== null) return;
    const values = {
      'monitoring.enabled': 'true',
      'autoscaling.enabled': 'true',
      'autoscaling.secondsPerWorker': '1',
      'autoscaling.windowMinutes': '1',
      'worker.pools.cpu.maxReplicas': String(MOST_WORKERS),
      'coordinator.maxRuns': '1', // a second run waits
    };
    await cluster.helm(
      'install',
      ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    );
    for (const name of ['coordinator', 'classifier-trainer', 'controller'])
      await cluster.waits(`deployment/ballast-${name}`, 'condition=Available');
    await cluster.load();
    const { spec } = await cluster.get<ScaledObject>(SCALED_OBJECT);
    prometheus = spec.triggers[0]!.metadata.serverAddress;
    const { protocol, hostname, port } = new URL(prometheus);
    const address = { prometheus: `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}` };
    if ((await reachedBy(cluster, {}, address)).length === 0) lack = `no pod reaches ${prometheus}`;
    if (lack !== null) return;
    watching = watch();
    await wants(0); // of a release that has nothing to do
    digest = cluster.local ? readReport((await referenceRun()).dir).weightsDigest : await digestHere();
  }, 60 * MINUTES);

  beforeEach((context) => context.skip(lack !== null, lack ?? ''));

  /** So that a test which fails takes no other with it. */
  afterEach(async () => {
    if (lack !== null) return;
    await restore();
    await cluster.kubectl('delete', 'synthesisrun', '--all', '--timeout=900s');
    await wants(0);
  }, 40 * MINUTES);

  afterAll(async () => {
    isOver = true;
    await watching?.catch(() => undefined);
    await cluster?.close();
  }, 20 * MINUTES);

  it("refuses a second ScaledObject for the workers, by KEDA's webhook", async (context) => {
    const webhook = 'validatingwebhookconfiguration/keda-admission';
    context.skip(!(await cluster.has(webhook)), `the cluster has no ${webhook}`);
    const { spec } = await cluster.get<ScaledObject>(SCALED_OBJECT);
    const metadata = { name: 'second', namespace: cluster.namespace };
    const second = { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata, spec };
    await expect(cluster.apply(second)).rejects.toThrow(/vscaledobject.kb.io.* already managed by/);
  });

  it(
    'brings the workers of a run, while another waits, and takes them away after both',
    async () => {
      history.length = 0;
      const createdMs = Date.now();
      await cluster.begin('large', LARGE);
      await cluster.begin('other');
      await hasWorkers(MOST_WORKERS);
      await explained('large', () => cluster.succeeds('large'));
      await ends('other');
      const records = [await cluster.recordOf('large'), await cluster.recordOf('other')];
      const [first, second] = records.toSorted((a, b) => Date.parse(a.firstShard) - Date.parse(b.firstShard));
      expect(Date.parse(second!.firstShard)).toBeGreaterThan(Date.parse(first!.lastShard));
      const firstImage = untilFirstImage(first!, createdMs);
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
      await blind(begin, end);
      await cluster.timed('from the loss of the backlog to the fallback', () => fallsBack('True'));
      await keepsWorkers();
      expect(await cluster.isOver('endless')).toBe(false);
      await remove('endless'); // which cancels it
      await ends('next');
      expect(history).toEqual([MOST_WORKERS]);
      if (!isCoordinatorScraped && cluster.local) expect(await isSeenBy('BallastAutoscalerBlind')).toBe(true);
      await restore();
      await fallsBack('False');
    },
    60 * MINUTES,
  );

  it.each(Object.entries(blindness))(
    'brings a worker to a run that has none while %s',
    async (_, { begin, end }) => {
      await blind(begin, end);
      const createdMs = Date.now();
      await cluster.begin('unseen');
      await hasWorkers(1);
      await ends('unseen');
      const firstImage = untilFirstImage(await cluster.recordOf('unseen'), createdMs);
      cluster.figures.push(`creation to first image, from zero without a backlog: ${firstImage} s`);
      expect(await cluster.wantedWorkers()).toBe(1);
      await restore();
      await fallsBack('False');
    },
    60 * MINUTES,
  );
});
