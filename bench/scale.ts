/**
 * `npm run bench -- scale`: the coordinator's own code (an epoch's planning, scheduling, events and metrics) with workers
 * that sleep, 8 to 512. Fails when a shard is lost or comes twice.
 *
 *   cpu       processor time of this process, workers' timers and messages included, as a share of one core
 *   latency   from a worker's answer until its next order
 *   capacity  shards a second when workers need no time at all
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Registry } from 'prom-client';
import { openEventLog } from '../actors/control/event-log.ts';
import { silentLog } from '../common/log.ts';
import { createRunEvents } from '../coordinator/records/run-events.ts';
import { shardCrew } from '../coordinator/epoch/epoch.ts';
import { CoordinatorMetrics, RunMetrics } from '../coordinator/epoch/run-metrics.ts';
import { planShards } from '../coordinator/epoch/sharding.ts';
import { synthesizeEpoch } from '../coordinator/epoch/synthesis.ts';
import { scaleCrew } from './scale-crew.ts';
import type { ScaleSettings } from './scale-crew.ts';

const WORKERS = [8, 32, 128, 512];
const SHARD_MS = 5000;
const SHARD_IMAGES = 16;
/** Shards per worker in the timed case, and in total in the untimed one. */
const SHARDS_PER_WORKER = 5;
const CAPACITY_SHARDS = 10_000;
const DEATH_EVERY = 50;
const CPU_GOAL = 0.5;

export interface ScaleRow {
  readonly workers: number;
  readonly shards: number;
  readonly shardsPerSecond: number;
  readonly cpuShare: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly deaths: number;
  readonly redone: number;
  /** Shards per second. */
  readonly capacity: number;
}

/** The command. */
export async function scale(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean', default: false } },
  });
  const results: ScaleRow[] = [];
  for (const workers of WORKERS) {
    const paced = await runEpoch(
      { workers, shardMs: SHARD_MS, deathEvery: DEATH_EVERY },
      workers * SHARDS_PER_WORKER,
    );
    const free = await runEpoch({ workers, shardMs: 0, deathEvery: Infinity }, CAPACITY_SHARDS);
    const row = { ...paced, workers, capacity: free.shardsPerSecond };
    results.push(row);
    if (!values.json) console.log(describe(row));
  }
  if (values.json) console.log(JSON.stringify({ name: 'scale', shardSeconds: SHARD_MS / 1000, results }));
}

/** One epoch from its plan to its last shard. @throws Error when a shard is lost or duplicated. */
async function runEpoch(
  settings: ScaleSettings,
  shardCount: number,
): Promise<Omit<ScaleRow, 'workers' | 'capacity'>> {
  const folder = await mkdtemp(join(tmpdir(), 'ballast-bench-'));
  const bus = await openEventLog({ path: join(folder, 'events.jsonl') });
  const events = createRunEvents(bus, () => undefined, silentLog);
  const { crew, committed, latenciesMs, deaths } = scaleCrew(settings);
  const tools = {
    ...{ crew: shardCrew(crew), events },
    metrics: new RunMetrics(new CoordinatorMetrics(new Registry()), 'scale'),
    clock: () => performance.now(),
    signal: new AbortController().signal,
  };
  try {
    const before = process.cpuUsage();
    const startMs = performance.now();
    const shards = planShards(planOf(shardCount));
    const { shardsRedone: redone } = await synthesizeEpoch(
      { epoch: 1, shards, request: { runSeed: 1 } },
      tools,
    );
    await events.flush();
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(before);
    const odd = shards.filter(({ index }) => committed.get(index) !== 1);
    if (odd.length > 0 || shards.length !== shardCount)
      throw new Error(`${odd.length} of ${shardCount} shards were lost or came twice`);
    return {
      ...{ shards: shardCount, redone, deaths: deaths() },
      shardsPerSecond: shardCount / seconds,
      cpuShare: (user + system) / 1e6 / seconds,
      latencyMs: { p50: quantile(latenciesMs, 0.5), p99: quantile(latenciesMs, 0.99) },
    };
  } finally {
    await bus.close();
    await rm(folder, { recursive: true });
  }
}

function planOf(shardCount: number) {
  const images = shardCount * SHARD_IMAGES;
  const trainLabels = Array.from({ length: 1000 }, (_, index) => index % 10);
  const quota = Array.from({ length: 10 }, (_, c) => Math.floor(images / 10) + (c < images % 10 ? 1 : 0));
  const sizes = { idStride: images, shardSize: SHARD_IMAGES };
  return { seed: 1, epoch: 1, quota, ...sizes, start: 'anchored' as const, trainLabels };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function describe(row: ScaleRow): string {
  const { p50, p99 } = row.latencyMs;
  const cpu = `${(100 * row.cpuShare).toFixed(1)}% of a core (goal: below ${100 * CPU_GOAL}%)`;
  const order = `next order after ${p50.toFixed(2)} ms (p99 ${p99.toFixed(2)})`;
  const losses = `${row.deaths} deaths, ${row.redone} shards made again, none lost or doubled`;
  return (
    `${row.workers} workers: ${row.shardsPerSecond.toFixed(1)} shards/s, ${cpu}, ${order}, ${losses}; ` +
    `at most ${row.capacity.toFixed(0)} shards/s`
  );
}
