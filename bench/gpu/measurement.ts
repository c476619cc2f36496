/** Measures one case of bench/gpu.ts: a process of ours and the peer, in turns, for as long as the case's share of time. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLimits } from '../../actors/base/limits.ts';
import type { BusBytes } from '../../tensor/device-arrays.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { answerOf } from '../child-answer.ts';
import { ratioOf, requireEqual } from '../comparison.ts';
import type { Peer } from '../peer.ts';
import { median } from '../statistics.ts';
import type { Ready, Timed, Told } from './case-process.ts';
import { deviceMemoryBytes } from './device-memory.ts';

const PROCESS = fileURLToPath(new URL('./case-process.js', import.meta.url));
/** Sums in another order, over ten steps of a sampler or two hundred layers; a wrong kernel is off by far more. */
const TOLERANCE = 1e-2;
const LEAST_ROUNDS = 3;
/** Seconds of a side's turn, as far as whole runs allow. */
const TURN_SECONDS = 0.5;
const MOST_RUNS = 50;

export interface GpuRow {
  readonly metric: string;
  readonly unit: string;
  /** Units per second: the median over rounds, the smallest and the largest. */
  readonly ours: Rate;
  readonly theirs: Rate | null;
  /** Their seconds divided by ours. */
  readonly ratio: number | null;
  readonly spread: readonly [number, number] | null;
  readonly rounds: number;
  /** Most resident memory of our process. */
  readonly hostBytes: number;
  /** Memory of our process on the card, and PyTorch's peak there. Null where no driver tells. */
  readonly deviceBytes: number | null;
  readonly peerDeviceBytes: number | null;
  /** Over the bus in one step. */
  readonly bus: BusBytes;
  readonly compileSeconds: number;
}

export interface Rate {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface CaseOptions {
  readonly device: string;
  /** Null without a peer; otherwise where it computes. */
  readonly peer: { readonly peer: Peer; readonly device: 'cuda' | 'cpu' } | null;
  /** Folder for weights and results. */
  readonly work: string;
  /** Time for this case; at the limit it is given up. */
  readonly shareMs: number;
  readonly limitMs: number;
  readonly mostRounds: number;
}

/** @throws Error with the reason why the case cannot be measured */
export async function measureCase(metric: string, options: CaseOptions): Promise<GpuRow> {
  const { device, work, limitMs } = options;
  const folder = await mkdtemp(join(work, 'case-'));
  const signal = AbortSignal.timeout(Math.ceil(limitMs));
  const child = fork(PROCESS, [metric, device, folder]);
  signal.addEventListener('abort', () => child.kill('SIGKILL'));
  try {
    return await measureWith(child, { ...options, metric, folder, signal });
  } catch (thrown) {
    throw signal.aborted ? new Error(`not measured within ${Math.round(limitMs / 1000)} s`) : thrown;
  } finally {
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    child.kill('SIGKILL');
    await gone;
    await rm(folder, { recursive: true });
  }
}

interface Measured extends CaseOptions {
  readonly metric: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function measureWith(child: ChildProcess, options: Measured): Promise<GpuRow> {
  const { metric, peer, folder, signal, shareMs, mostRounds } = options;
  const startMs = performance.now();
  const memoryBefore = await deviceMemoryBytes();
  const { units, unit, compileSeconds } = await told<Ready>(child, signal);
  const ours = await turnOf((times) => ask(child, times, signal));
  const memoryAfter = await deviceMemoryBytes();
  // A request to the peer cannot be taken back: it answers in order, so a later request waits for this one's answer.
  const within = <T>(work: Promise<T>) => withLimits(work, { deadlineMs: Infinity, signal }, metric);
  const theirs = peer === null ? null : await within(peerTurn(peer, metric, folder));
  const rounds: { ours: number; theirs: number | null }[] = [];
  let latest = await ours();
  let peerDeviceBytes: number | null = null;
  while (rounds.length < mostRounds) {
    if (rounds.length >= LEAST_ROUNDS && performance.now() - startMs > shareMs) break;
    signal.throwIfAborted();
    latest = await ours();
    const answer = theirs === null ? null : await within(theirs());
    peerDeviceBytes = answer?.deviceBytes ?? null;
    rounds.push({ ours: median(latest.seconds), theirs: answer ? median(answer.seconds) : null });
  }
  const seconds = rounds.map((round) => round.ours);
  const peerSeconds = peer === null ? null : rounds.map((round) => round.theirs!);
  return {
    ...{ metric, unit, compileSeconds, peerDeviceBytes, rounds: rounds.length },
    ours: rateOf(units, seconds),
    theirs: peerSeconds === null ? null : rateOf(units, peerSeconds),
    ...ratioOf(seconds, peerSeconds),
    hostBytes: latest.peakBytes,
    deviceBytes: memoryBefore === null || memoryAfter === null ? null : memoryAfter - memoryBefore,
    bus: latest.bus,
  };
}

/** A side's turn in a round: as many runs as fill its time. The first runs, which nobody counts, warm it up. */
async function turnOf<T extends { readonly seconds: readonly number[] }>(
  run: (times: number) => Promise<T>,
): Promise<() => Promise<T>> {
  await run(1);
  const { seconds } = await run(1);
  const times = Math.max(1, Math.min(MOST_RUNS, Math.floor(TURN_SECONDS / seconds[0]!)));
  return () => run(times);
}

async function ask(child: ChildProcess, times: number, signal: AbortSignal): Promise<Timed> {
  child.send({ times });
  return told<Timed>(child, signal);
}

async function told<T extends object>(child: ChildProcess, signal: AbortSignal): Promise<T> {
  const answer = await answerOf<Told<T>>(child, signal);
  if ('failure' in answer) throw new Error(answer.failure);
  return answer;
}

/** The peer's turn, once its results are seen to equal ours. */
async function peerTurn({ peer, device }: NonNullable<CaseOptions['peer']>, metric: string, folder: string) {
  await peer.ask({ load: folder, device });
  await peer.ask({ check: metric });
  const [ours, theirs] = await Promise.all(['ours', 'peer'].map((side) => resultsOf(side, metric, folder)));
  requireEqual(metric, ours!, theirs!, TOLERANCE);
  return turnOf(async (times) => {
    const { seconds, deviceBytes } = await peer.ask({ run: metric, times });
    return { seconds: seconds as readonly number[], deviceBytes: deviceBytes as number | null };
  });
}

async function resultsOf(side: string, metric: string, folder: string) {
  const path = join(folder, `${side}-${metric}.safetensors`);
  return decodeSafetensors(await readFile(path), path).arrays;
}

function rateOf(units: number, seconds: readonly number[]): Rate {
  const rates = seconds.map((each) => units / each);
  return { median: median(rates), least: Math.min(...rates), most: Math.max(...rates) };
}
