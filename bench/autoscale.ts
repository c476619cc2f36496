/**
 * `npm run bench -- autoscale`: bursts of runs on a simulated cluster (autoscale-cluster.ts), scaled by the policy of
 * k8s/chart/values.yaml as it is deployed, against clusters of a fixed size. It uses a virtual clock: it takes seconds,
 * and says nothing about the speed of a card.
 *
 *   drain     from the first run of a burst until the last one's end, the mean of the bursts
 *   GPU-hours from the request for a worker until it has gone; wasted: those in which it made no image
 *   changes   of the wanted number of workers
 */
import { parseArgs } from 'node:util';
import { type AutoscalePolicy, readAutoscalePolicy } from './autoscale-policy.ts';
import { type RunPlan, type Scaler, simulate } from './autoscale-cluster.ts';
import { decide, NO_MEMORY, SYNC_SECONDS } from './hpa.ts';

const SHARD_IMAGES = 32;
const MAX_RUNS = 4;
const BURST_SECONDS = 8 * 3600;
const BURSTS = 3;

/** Runs per burst, one minute apart. */
interface Workload {
  readonly name: string;
  readonly runs: number;
  readonly plan: Omit<RunPlan, 'arrivalSeconds'>;
}

/** Seconds of synthesis per epoch for one worker: 100, 800 and 3,200. */
const WORKLOADS: readonly Workload[] = [
  { name: 'small', runs: 6, plan: { epochs: 20, imagesPerEpoch: 1000, imageSeconds: 0.1, trainSeconds: 30 } },
  {
    name: 'middle',
    runs: 4,
    plan: { epochs: 20, imagesPerEpoch: 2000, imageSeconds: 0.4, trainSeconds: 90 },
  },
  {
    name: 'large',
    runs: 3,
    plan: { epochs: 10, imagesPerEpoch: 4000, imageSeconds: 0.8, trainSeconds: 240 },
  },
];

/** A pod on an existing machine, or on a machine that must be provisioned first. */
const STARTS = [
  { name: 'warm', seconds: 30 },
  { name: 'cold', seconds: 240 },
] as const;

export interface AutoscaleRow {
  readonly workload: string;
  readonly start: string;
  readonly cluster: string;
  readonly drainMinutes: number;
  readonly gpuHours: number;
  readonly wastedHours: number;
  readonly changes: number;
  readonly mostWorkers: number;
}

/** The command. */
export function autoscale(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } });
  const policy = readAutoscalePolicy();
  const results = WORKLOADS.flatMap((workload) =>
    STARTS.flatMap((start) =>
      clustersOf(policy).map(([cluster, workers, scaler]) =>
        measure(workload, start, { cluster, workers, scaler: scaler() }),
      ),
    ),
  );
  if (values.json) console.log(JSON.stringify({ name: 'autoscale', policy, results }));
  else console.log(describe(results));
  return Promise.resolve();
}

type Cluster = readonly [name: string, workers: number, scaler: () => Scaler];

/** The policy; the policy with at least one worker; the policy without damping; clusters of a fixed size. */
function clustersOf(policy: AutoscalePolicy): Cluster[] {
  const { hpa, leastWorkers } = policy;
  const hasty: AutoscalePolicy = {
    ...policy,
    windowSeconds: SYNC_SECONDS,
    hpa: { ...hpa, scaleDown: { ...hpa.scaleDown, stabilizationWindowSeconds: 0 } },
  };
  const still = (): Scaler => ({ everySeconds: SYNC_SECONDS, scale: (_seconds, replicas) => replicas });
  const fixed = [hpa.maxReplicas, hpa.maxReplicas / 2, hpa.maxReplicas / 4];
  return [
    ['KEDA', leastWorkers, () => autoscaler(policy)],
    ['KEDA, from one', 1, () => autoscaler({ ...policy, leastWorkers: 1 })],
    ['KEDA, unsteadied', leastWorkers, () => autoscaler(hasty)],
    ...fixed.map((workers): Cluster => [`fixed, ${workers}`, workers, still]),
  ];
}

/** Prometheus is queried as often as the autoscaler runs; for each run it keeps the largest value of the window. */
export function autoscaler({ hpa, windowSeconds, leastWorkers, cooldownSeconds }: AutoscalePolicy): Scaler {
  const samples: { readonly seconds: number; readonly backlog: ReadonlyMap<number, number> }[] = [];
  let memory = NO_MEMORY;
  let activeSeconds = -Infinity;
  return {
    everySeconds: SYNC_SECONDS,
    scale(seconds, replicas, backlog) {
      samples.push({ seconds, backlog });
      while (samples[0]!.seconds <= seconds - windowSeconds) samples.shift();
      const largest = new Map<number, number>();
      for (const sample of samples)
        for (const [run, value] of sample.backlog) largest.set(run, Math.max(value, largest.get(run) ?? 0));
      const metric = [...largest.values()].reduce((sum, value) => sum + value, 0);
      if (metric > 0) activeSeconds = seconds;
      if (leastWorkers === 0 && metric === 0 && seconds - activeSeconds >= cooldownSeconds) return 0;
      if (replicas === 0) return 1; // KEDA starts the first; from then on the HorizontalPodAutoscaler decides
      const decision = decide(hpa, memory, { seconds, replicas, metric });
      memory = decision.memory;
      return decision.replicas;
    },
  };
}

/** Bursts one after another; each starts after its time, or as soon as the previous one is done. */
function measure(
  { name, runs, plan }: Workload,
  start: (typeof STARTS)[number],
  { cluster, workers, scaler }: { cluster: string; workers: number; scaler: Scaler },
): AutoscaleRow {
  const plans = Array.from({ length: BURSTS }, (_, burst) =>
    Array.from({ length: runs }, (_, run) => ({ ...plan, arrivalSeconds: burst * BURST_SECONDS + 60 * run })),
  ).flat();
  const { runSeconds, gpuSeconds, busySeconds, changes, mostWorkers } = simulate({
    ...{ runs: plans, workers, scaler, startSeconds: start.seconds },
    ...{ shardImages: SHARD_IMAGES, maxRuns: MAX_RUNS, untilSeconds: BURSTS * BURST_SECONDS },
  });
  const ends = plans.map(({ arrivalSeconds }, index) => arrivalSeconds + runSeconds[index]!);
  const drains = Array.from(
    { length: BURSTS },
    (_, burst) => Math.max(...ends.slice(burst * runs, (burst + 1) * runs)) - burst * BURST_SECONDS,
  );
  return {
    ...{ workload: name, start: start.name, cluster, changes, mostWorkers },
    drainMinutes: drains.reduce((sum, seconds) => sum + seconds, 0) / BURSTS / 60,
    gpuHours: gpuSeconds / 3600,
    wastedHours: (gpuSeconds - busySeconds) / 3600,
  };
}

function describe(rows: readonly AutoscaleRow[]): string {
  const head = ['workload', 'start', 'workers', 'drain, min', 'GPU-hours', 'wasted', 'changes', 'at most'];
  const lines = rows.map((row) => [
    ...[row.workload, row.start, row.cluster, row.drainMinutes.toFixed(0), row.gpuHours.toFixed(1)],
    ...[row.wastedHours.toFixed(1), String(row.changes), String(row.mostWorkers)],
  ]);
  const widths = head.map((text, column) =>
    Math.max(text.length, ...lines.map((line) => line[column]!.length)),
  );
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return [head, ...lines].map(format).join('\n');
}
