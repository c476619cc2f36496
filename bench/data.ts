/**
 * `npm run bench -- data`: a folder of JPEGs of several sizes, decoded to the training size. Ours, by which images enter the
 * image cache and are checked, against a torchvision DataLoader on the same cores, in turns; then the load of a later run,
 * and the memory of a run that trains on them.
 *
 *   ratio    their seconds / ours, median over rounds; above 1 we are faster
 *   spread   smallest and largest ratio of a round
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { UserError } from '../common/errors.ts';
import { bundleRoot } from '../common/package-root.ts';
import { watchMemory } from '../common/process-tree.ts';
import { writeJpegFolder } from './jpeg-folder.ts';
import { startPeer, type Peer } from './peer.ts';
import { median } from './statistics.ts';

interface Loaded {
  readonly seconds: number;
  readonly images: number;
  readonly peakBytes: number;
}

interface Training {
  readonly peakBytes: number;
  readonly seconds: number;
}

/** The command. */
export async function data(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      images: { type: 'string', default: '2000' },
      size: { type: 'string', default: '224' },
      rounds: { type: 'string', default: '5' },
      steps: { type: 'string', default: '20' },
      batch: { type: 'string', default: '8' },
    },
  });
  const [count, size, rounds, steps, batch] = (['images', 'size', 'rounds', 'steps', 'batch'] as const).map(
    (name) => positive(name, values[name]),
  ) as [number, number, number, number, number];
  const work = await mkdtemp(join(tmpdir(), 'ballast-bench-data-'));
  const peer = startPeer('data.py', 'torch and torchvision');
  try {
    const folder = join(work, 'images');
    await writeJpegFolder(folder, count);
    const decoding = await measureDecoding({ folder, size, rounds, work, peer });
    const cache = join(work, 'cache');
    const later = await load(folder, size, cache);
    const training = await train({ folder, size, steps, batch, cache, out: join(work, 'run') });
    const version = peer === null ? null : String((await peer.ask({ version: true }))['version']);
    const row = { images: count, size, ...decoding, laterPerSecond: count / later.seconds, training };
    console.log(
      values.json ? JSON.stringify({ name: 'data', peer: version, ...row }) : describe(row, version),
    );
  } finally {
    await peer?.close();
    await rm(work, { recursive: true });
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UserError(`--${name} ${text}: give a whole number of at least 1`);
}

interface DecodingOptions {
  readonly folder: string;
  readonly size: number;
  readonly rounds: number;
  readonly work: string;
  readonly peer: Peer | null;
}

/** Each side in turn, the images new to the cache every time. The last round's cache stays. */
async function measureDecoding({ folder, size, rounds, work, peer }: DecodingOptions) {
  const ours: Loaded[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const cache = join(work, 'cache');
    await rm(cache, { recursive: true, force: true });
    ours.push(await load(folder, size, cache));
    if (peer === null) continue;
    const { seconds, images } = await peer.ask({ folder, size });
    if (images !== ours[round]!.images) throw new Error(`the peer read ${String(images)} images`);
    theirs.push(seconds as number);
  }
  const ratios = theirs.map((seconds, round) => seconds / ours[round]!.seconds);
  const { images } = ours[0]!;
  return {
    oursPerSecond: images / median(ours.map(({ seconds }) => seconds)),
    theirsPerSecond: peer === null ? null : images / median(theirs),
    ratio: peer === null ? null : median(ratios),
    spread: peer === null ? null : ([Math.min(...ratios), Math.max(...ratios)] as const),
    peakBytes: Math.max(...ours.map(({ peakBytes }) => peakBytes)),
  };
}

/** Loads the folder in a separate process. */
async function load(folder: string, size: number, cache: string): Promise<Loaded> {
  const script = join(import.meta.dirname, 'decoding-process.js');
  const env = { ...process.env, BALLAST_IMAGE_CACHE: cache };
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder, String(size)], { env });
  return JSON.parse(stdout) as Loaded;
}

interface TrainOptions {
  readonly folder: string;
  readonly size: number;
  readonly steps: number;
  /** Images of one step: most of the memory is theirs. */
  readonly batch: number;
  readonly cache: string;
  readonly out: string;
}

/** A run of cross-entropy: the largest sum of what its processes hold at a time. @throws Error when it fails */
async function train({ folder, size, steps, batch, cache, out }: TrainOptions): Promise<Training> {
  const args = [
    ...['run', '--data', folder, '--image-size', String(size), '--validation', 'none', '--method', 'erm'],
    ...['--epochs', '1', '--set', `training.steps=${steps}`, '--batch-size', String(batch), '--out', out],
  ];
  const start = performance.now();
  const child = spawn(process.execPath, [join(bundleRoot(), 'cli', 'main.js'), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, BALLAST_IMAGE_CACHE: cache },
  });
  const memory = watchMemory(child.pid!);
  const [code] = (await once(child, 'exit').finally(() => memory.stop())) as [number | null];
  if (code !== 0) throw new Error(`the run ended with ${code}; its messages are above`);
  return { peakBytes: memory.stop(), seconds: (performance.now() - start) / 1000 };
}

type Row = Awaited<ReturnType<typeof measureDecoding>> & {
  readonly images: number;
  readonly size: number;
  readonly laterPerSecond: number;
  readonly training: Training;
};

function describe(row: Row, version: string | null): string {
  const rate = (value: number) => `${value.toFixed(0)} images/s`;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  const against =
    row.ratio === null
      ? ''
      : `, torchvision ${version} ${rate(row.theirsPerSecond!)}: ratio ${row.ratio.toFixed(2)} (${row.spread![0].toFixed(2)}–${row.spread![1].toFixed(2)})`;
  return [
    `decoding ${row.images} JPEGs to ${row.size} px: ${rate(row.oursPerSecond)}${against}; at most ${gigabytes(row.peakBytes)} of memory`,
    `loading them again: ${rate(row.laterPerSecond)}`,
    `training on them: at most ${gigabytes(row.training.peakBytes)} in all processes`,
  ].join('\n');
}
