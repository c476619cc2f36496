/**
 * `npm run bench -- compute`: compares our compiled steps with eager PyTorch: the same networks, on one thread each, in
 * turns. Outputs from the same weights must agree before anything is timed.
 *
 *   ratio      their seconds / ours, median over rounds; above 1 we are faster
 *   spread     smallest and largest ratio of a round
 *   peakShare  our convolutions' and matrix products' FLOP/s as a share of a large matrix product's on this core
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import type { ComputeRow } from './compute-row.ts';
import { COMPUTE_CASES, guidedSampling, sgemm } from './compute-cases.ts';
import type { ComputeCase } from './case-parts.ts';
import { ratioOf, requireEqual, secondsOf } from './comparison.ts';
import { startPeer } from './peer.ts';
import type { Peer } from './peer.ts';
import { median } from './statistics.ts';
import { measureTwoWorkers } from './two-workers.ts';

const TOLERANCE = 1e-4;

/** The command. */
export async function compute(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '7' },
      only: { type: 'string' },
    },
  });
  const cases = COMPUTE_CASES.filter(({ name }) => values.only === undefined || name.includes(values.only));
  const folder = await mkdtemp(join(tmpdir(), 'ballast-bench-'));
  const peer = startPeer('compute.py');
  try {
    const peerName = peer === null ? null : `PyTorch ${await loadPeer(peer, cases, folder)} eager`;
    const peak = await measurePeak();
    const rounds = Number(values.rounds);
    const results: ComputeRow[] = [];
    const add = (row: ComputeRow) => {
      results.push(row);
      if (!values.json) console.log(describe(row));
    };
    for (const item of cases) add(await measure(item, peer, peerName, folder, rounds, peak));
    if (cases.includes(guidedSampling)) add(await measureTwoWorkers(rounds, peak));
    if (values.json) console.log(JSON.stringify({ name: 'compute', peakGflops: peak / 1e9, results }));
    else console.log(`peak: ${(peak / 1e9).toFixed(0)} GFLOP/s (1024×1024 sgemm)`);
  } finally {
    await peer?.close();
    await rm(folder, { recursive: true });
  }
}

/** Passes weights and inputs to the peer; returns its version. */
async function loadPeer(peer: Peer, cases: readonly ComputeCase[], folder: string): Promise<string> {
  for (const { name, tensors } of cases)
    await writeFile(join(folder, `${name}.safetensors`), encodeSafetensors(tensors));
  const benchmarks = Object.fromEntries(cases.map(({ name, settings }) => [name, settings]));
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ benchmarks }));
  return String((await peer.ask({ load: folder }))['version']);
}

async function measurePeak(): Promise<number> {
  const product = await sgemm.prepare();
  await product.run();
  const seconds = await secondsOf(product, 9);
  await product.dispose();
  return product.flops / median(seconds);
}

async function measure(
  item: ComputeCase,
  peer: Peer | null,
  peerName: string | null,
  folder: string,
  rounds: number,
  peak: number,
): Promise<ComputeRow> {
  const own = await item.prepare();
  const first = await own.run();
  if (peer !== null) {
    await peer.ask({ check: item.name });
    const theirs = decodeSafetensors(await readFile(join(folder, `peer-${item.name}.safetensors`))).arrays;
    requireEqual(item.name, first, theirs, TOLERANCE);
  }
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(median(await secondsOf(own, 3)));
    if (peer !== null)
      theirs.push(median((await peer.ask({ run: item.name, times: 3 }))['seconds'] as number[]));
  }
  await own.dispose();
  const perSecond = (seconds: readonly number[]) => item.units / median(seconds);
  return {
    metric: item.name,
    ours: perSecond(ours),
    theirs: peer === null ? null : perSecond(theirs),
    unit: item.unit,
    peer: peerName,
    ...ratioOf(ours, peer === null ? null : theirs),
    peakShare: own.flops / median(ours) / peak,
    compileSeconds: own.compileSeconds,
  };
}

function describe(row: ComputeRow): string {
  const rate = (value: number) => `${value.toPrecision(4)} ${row.unit}`;
  const against =
    row.theirs === null
      ? ''
      : `, ${row.peer} ${rate(row.theirs)}: ratio ${row.ratio!.toFixed(2)} (${row.spread![0].toFixed(2)}–${row.spread![1].toFixed(2)})`;
  const share = `${(100 * row.peakShare).toFixed(0)}% of peak`;
  return `${row.metric}: ${rate(row.ours)}${against}, ${share}, compiled in ${row.compileSeconds.toFixed(2)} s`;
}
