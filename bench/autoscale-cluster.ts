/**
 * A cluster on a virtual clock, for bench/autoscale.ts. Runs arrive, wait for their turn, and go through epochs of
 * synthesis (shards that workers make) and training (during which the run has no backlog). Workers take a while to
 * start, and finish their shard before they leave. One tick is a second. Nothing is random.
 */

export interface RunPlan {
  readonly arrivalSeconds: number;
  readonly epochs: number;
  readonly imagesPerEpoch: number;
  /** Rate of one worker. */
  readonly imageSeconds: number;
  readonly trainSeconds: number;
}

export interface ClusterSettings {
  readonly runs: readonly RunPlan[];
  /** Initial workers, ready at once. */
  readonly workers: number;
  /** Time from the request for a worker until it takes shards: a machine, an image, a process. */
  readonly startSeconds: number;
  readonly shardImages: number;
  readonly maxRuns: number;
  /** The wanted number of workers, asked every `everySeconds`. */
  readonly scaler: Scaler;
  /** Shortest simulation, so that resources wasted afterwards count. */
  readonly untilSeconds: number;
}

export interface Scaler {
  readonly everySeconds: number;
  /** `backlog`: worker-seconds of waiting and running shards, for each active run by its number. */
  scale(seconds: number, replicas: number, backlog: ReadonlyMap<number, number>): number;
}

export interface Outcome {
  /** Time from a run's arrival to its end. */
  readonly runSeconds: readonly number[];
  /** Time of all workers, from request to end. */
  readonly gpuSeconds: number;
  /** Part of it spent making images. */
  readonly busySeconds: number;
  /** Number of changes of the wanted number. */
  readonly changes: number;
  readonly mostWorkers: number;
}

interface Worker {
  readonly readySeconds: number;
  isLeaving: boolean;
  shard: { readonly run: Run; readonly endSeconds: number } | null;
}

interface Run {
  readonly id: number;
  readonly plan: RunPlan;
  epoch: number;
  /** Shards of the epoch that no worker has, and that some worker has. */
  waiting: number;
  underWay: number;
  /** When training ends; null during synthesis. */
  trainedSeconds: number | null;
  endSeconds: number | null;
}

/** Longest simulated time: a policy that never finishes is an error. */
const LIMIT_SECONDS = 14 * 86_400;

/** @throws Error when the runs do not end. */
export function simulate(settings: ClusterSettings): Outcome {
  const runs = settings.runs.map((plan, id): Run => ({
    ...{ id, plan, epoch: 0, waiting: 0, underWay: 0, trainedSeconds: null, endSeconds: null },
  }));
  let workers = Array.from({ length: settings.workers }, (): Worker => newWorker(0));
  const sum = { gpuSeconds: 0, busySeconds: 0, changes: 0, mostWorkers: workers.length };
  for (let now = 0; now < LIMIT_SECONDS; now++) {
    finishShards(workers, now);
    const active = advanceRuns(runs, now, settings);
    if (now % settings.scaler.everySeconds === 0) {
      const staying = workers.filter(({ isLeaving }) => !isLeaving);
      const wanted = settings.scaler.scale(now, staying.length, backlogOf(active, settings));
      if (wanted !== staying.length) sum.changes++;
      resize(workers, staying, wanted, now + settings.startSeconds);
    }
    workers = workers.filter(({ isLeaving, shard }) => !isLeaving || shard !== null);
    handOut(workers, active, now, settings);
    sum.gpuSeconds += workers.length;
    sum.busySeconds += workers.filter(({ shard }) => shard !== null).length;
    sum.mostWorkers = Math.max(sum.mostWorkers, workers.length);
    if (now >= settings.untilSeconds && runs.every(({ endSeconds }) => endSeconds !== null)) {
      return { ...sum, runSeconds: runs.map(({ plan, endSeconds }) => endSeconds! - plan.arrivalSeconds) };
    }
  }
  throw new Error(`the runs did not end within ${LIMIT_SECONDS} s`);
}

function newWorker(readySeconds: number): Worker {
  return { readySeconds, isLeaving: false, shard: null };
}

function finishShards(workers: readonly Worker[], now: number): void {
  for (const worker of workers) {
    if (worker.shard === null || worker.shard.endSeconds > now) continue;
    worker.shard.run.underWay--;
    worker.shard = null;
  }
}

/** Starts, trains and ends runs. Returns the active ones. */
function advanceRuns(runs: readonly Run[], now: number, settings: ClusterSettings): Run[] {
  for (const run of runs) {
    if (run.epoch === 0 || run.endSeconds !== null || run.waiting + run.underWay > 0) continue;
    run.trainedSeconds ??= now + run.plan.trainSeconds;
    if (run.trainedSeconds > now) continue;
    if (run.epoch === run.plan.epochs) run.endSeconds = now;
    else beginEpoch(run, settings);
  }
  const active = runs.filter(({ epoch, endSeconds }) => epoch > 0 && endSeconds === null);
  for (const run of runs) {
    if (active.length >= settings.maxRuns) break;
    if (run.epoch > 0 || run.plan.arrivalSeconds > now) continue;
    beginEpoch(run, settings);
    active.push(run);
  }
  return active;
}

function beginEpoch(run: Run, { shardImages }: ClusterSettings): void {
  run.epoch++;
  run.trainedSeconds = null;
  run.waiting = Math.ceil(run.plan.imagesPerEpoch / shardImages);
}

function backlogOf(active: readonly Run[], { shardImages }: ClusterSettings): Map<number, number> {
  return new Map(
    active.map(({ id, plan, waiting, underWay }) => [
      id,
      (waiting + underWay) * shardImages * plan.imageSeconds,
    ]),
  );
}

/** Adds workers, or removes some: first those that have not started, then the youngest, as a ReplicaSet does. */
function resize(workers: Worker[], staying: readonly Worker[], wanted: number, readySeconds: number): void {
  for (let count = staying.length; count < wanted; count++) workers.push(newWorker(readySeconds));
  const going = staying.toSorted((a, b) => b.readySeconds - a.readySeconds);
  for (const worker of going.slice(0, Math.max(0, staying.length - wanted))) worker.isLeaving = true;
}

/** Gives every idle worker a shard of the run with the fewest in progress. */
function handOut(
  workers: readonly Worker[],
  active: readonly Run[],
  now: number,
  { shardImages }: ClusterSettings,
): void {
  for (const worker of workers) {
    if (worker.shard !== null || worker.isLeaving || worker.readySeconds > now) continue;
    const [run] = active
      .filter(({ waiting }) => waiting > 0)
      .sort((a, b) => a.underWay - b.underWay || a.id - b.id);
    if (run === undefined) return;
    run.waiting--;
    run.underWay++;
    const seconds = Math.max(1, Math.round(shardImages * run.plan.imageSeconds));
    worker.shard = { run, endSeconds: now + seconds };
  }
}
