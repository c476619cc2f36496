/**
 * `npm run bench -- gpu`: guided sampling and training steps on a card, against eager PyTorch on the same card, both in
 * float32, in turns. It ends within `--minutes`: cases share the time, and those for which there is none are named. State
 * stays on the card, except ours with CUDA. Each case is a process of its own (gpu/case-process.ts).
 *
 *   ratio    their seconds / ours, median over rounds; above 1 we are faster
 *   spread   smallest and largest of a round
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { toError, UserError } from '../common/errors.ts';
import { findDevice } from '../tensor/onnxruntime-device.ts';
import { gpuCaseNames } from './gpu/cases.ts';
import { measureCase } from './gpu/measurement.ts';
import type { CaseOptions, GpuRow, Rate } from './gpu/measurement.ts';
import { startPeer } from './peer.ts';

/** Vulkan drivers that compute on the CPU, by the names of their adapters. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe/i;
/** Less is not enough to compile a case and to run it three times. */
const LEAST_MS = 5000;
const MOST_MINUTES = 600;
/** A case that takes longer than this many shares of the time is given up. */
const SHARES = 2;

interface LeftOut {
  readonly metric: string;
  readonly reason: string;
}

interface Settings {
  readonly isJson: boolean;
  readonly device: 'webgpu' | 'cuda';
  readonly allowSoftware: boolean;
  readonly only: string;
  readonly limitMs: number;
  readonly mostRounds: number;
}

/** The command. */
export async function gpu(args: readonly string[]): Promise<void> {
  const settings = readSettings(args);
  const card = await findCard(settings);
  const isSoftware = SOFTWARE.test(card);
  const known = gpuCaseNames(isSoftware);
  const names = known.filter((name) => name.includes(settings.only));
  if (names.length === 0)
    throw new UserError(`--only ${settings.only}: in the name of no case; use a part of ${known.join(', ')}`);
  const work = await mkdtemp(join(tmpdir(), 'ballast-bench-gpu-'));
  const peer = await openPeer(card, isSoftware);
  try {
    if (!settings.isJson) console.log(`device: ${card}; peer: ${peer?.name ?? 'none'}`);
    const { results, leftOut } = await measureAll(names, { ...settings, work, peer });
    const row = { name: 'gpu', device: card, peer: peer?.name ?? null, results, leftOut };
    if (settings.isJson) console.log(JSON.stringify(row));
    if (results.length === 0) throw new UserError('no case was measured; the reasons are above');
  } finally {
    await peer?.peer.close();
    await rm(work, { recursive: true });
  }
}

function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      device: { type: 'string', default: 'webgpu' },
      'allow-software': { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      minutes: { type: 'string', default: '9' },
      rounds: { type: 'string', default: '15' },
    },
  });
  const { device } = values;
  if (device !== 'webgpu' && device !== 'cuda')
    throw new UserError(`--device ${device}: give webgpu or cuda`);
  const [minutes, mostRounds] = [Number(values.minutes), Number(values.rounds)];
  if (!(minutes > 0 && minutes <= MOST_MINUTES))
    throw new UserError(`--minutes ${values.minutes}: give a number above 0 and at most ${MOST_MINUTES}`);
  if (!(Number.isInteger(mostRounds) && mostRounds > 0))
    throw new UserError(`--rounds ${values.rounds}: give a whole number of at least 1`);
  return {
    ...{ isJson: values.json, device, allowSoftware: values['allow-software'], only: values.only },
    ...{ limitMs: minutes * 60_000, mostRounds },
  };
}

/** The device with its adapter. @throws UserError where there is no card */
async function findCard({ device, allowSoftware }: Settings): Promise<string> {
  const found = await findDevice(device).catch((thrown: unknown) => {
    throw new UserError(`no card was found, so a run would compute on the CPU: ${toError(thrown).message}`);
  });
  if (SOFTWARE.test(found.description) && !allowSoftware)
    throw new UserError(
      `no card was found: ${found.description} computes on the CPU; --allow-software measures tiny networks there`,
    );
  return found.description;
}

type OpenPeer = NonNullable<CaseOptions['peer']> & { readonly name: string };

/** PyTorch on the card; on the CPU where ours computes there too. Null, with a line on stderr, where it cannot. */
async function openPeer(card: string, isSoftware: boolean): Promise<OpenPeer | null> {
  const peer = startPeer('compute.py', 'PyTorch for CUDA and safetensors');
  if (peer === null) return null;
  const { version, cuda } = (await peer.ask({ about: true })) as { version: string; cuda: string | null };
  if (isSoftware) return { peer, device: 'cpu', name: `PyTorch ${version} on the CPU` };
  if (cuda === null) {
    process.stderr.write(`no peer: PyTorch ${version} sees no CUDA GPU\n`);
    await peer.close();
    return null;
  }
  if (card.startsWith('webgpu on ') && !card.includes(cuda))
    process.stderr.write(`PyTorch computes on ${cuda}, Ballast on ${card}: the ratios compare two cards\n`);
  return { peer, device: 'cuda', name: `PyTorch ${version} on ${cuda}` };
}

type AllOptions = Settings & Pick<CaseOptions, 'work' | 'peer'>;

async function measureAll(names: readonly string[], options: AllOptions) {
  const results: GpuRow[] = [];
  const leftOut: LeftOut[] = [];
  const say = (line: string) => (options.isJson ? process.stderr.write(`${line}\n`) : console.log(line));
  const endMs = performance.now() + options.limitMs;
  for (const [i, metric] of names.entries()) {
    const leftMs = endMs - performance.now();
    const shareMs = leftMs / (names.length - i);
    try {
      if (leftMs < LEAST_MS) throw new Error(`the time is over; give more --minutes, or --only ${metric}`);
      const row = await measureCase(metric, {
        ...options,
        shareMs,
        limitMs: Math.min(leftMs, SHARES * shareMs),
      });
      results.push(row);
      say(describe(row));
    } catch (thrown) {
      const reason = toError(thrown).message;
      leftOut.push({ metric, reason });
      say(`${metric}: left out: ${reason}`);
    }
  }
  return { results, leftOut };
}

function describe(row: GpuRow): string {
  const { metric, unit, ours, theirs, ratio, spread, bus } = row;
  const range = ([least, most]: readonly [number, number]) =>
    `${least.toPrecision(3)}–${most.toPrecision(3)}`;
  const rate = ({ median, least, most }: Rate) =>
    unit === 'steps/s'
      ? `${(1000 / median).toPrecision(4)} ms a step (${range([1000 / most, 1000 / least])})`
      : `${median.toPrecision(4)} ${unit} (${range([least, most])})`;
  const bytes = (value: number) => Math.round(value).toLocaleString('en');
  return [
    `${metric}: ${rate(ours)}`,
    ...(theirs === null ? [] : [`PyTorch ${rate(theirs)}: ratio ${ratio!.toFixed(2)} (${range(spread!)})`]),
    `${memory(row.hostBytes)} of memory and ${memory(row.deviceBytes)} on the card`,
    ...(theirs === null ? [] : [`PyTorch ${memory(row.peerDeviceBytes)} there`]),
    `${bytes(bus.toDevice)} bytes to the card and ${bytes(bus.fromDevice)} back a step`,
    `${row.rounds} rounds, compiled in ${row.compileSeconds.toFixed(1)} s`,
  ].join('; ');
}

function memory(bytes: number | null): string {
  return bytes === null ? '–' : `${(bytes / 1e9).toFixed(2)} GB`;
}
