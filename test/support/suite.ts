/** What several files of system tests share: data, a prior that this project trained on them, and one whole run. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { EpochRecord, RunEvent, RunReport } from '../../report/records.ts';
import { ballast, Cli, type CliEnd } from './cli.ts';
import { watchMemory } from './processes.ts';
import { writeShapes } from './shapes.ts';

export const EPOCHS = 3;
export const BUDGET = 48;
export const SHARD_SIZE = 6;

/** Flags of a run that takes a second or two beside the start of its processes. */
const TINY_RUN = [
  ...['--method', 'iois', '--epochs', String(EPOCHS), '--batch-size', '4'],
  ...['--budget', String(BUDGET), '--set', `synthesis.shardSize=${SHARD_SIZE}`],
  ...['--set', 'classifier.widths=[8,16]', '--set', 'classifier.groups=4'],
];

/** A new empty folder that goes with the suite. */
export function newFolder(name: string): string {
  return mkdtempSync(join(inject('suiteFolder'), `${name}-`));
}

/** Folder of the drawn shapes (shapes.ts). */
export async function shapesData(): Promise<string> {
  const dir = join(inject('suiteFolder'), 'shapes');
  if (!existsSync(dir)) await writeShapes(dir);
  return dir;
}

/** A small prior, trained on the shapes by `ballast prior train` for a few steps. */
export async function shapesPrior(): Promise<string> {
  const dir = join(inject('suiteFolder'), 'prior');
  const file = join(dir, 'prior.safetensors');
  if (existsSync(file)) return file;
  const network = ['--set', 'denoiser.widths=[8,16]', '--set', 'denoiser.groups=4'];
  const training = ['--steps', '150', '--batch-size', '16', '--set', 'averageDecay=0.95'];
  const end = await ballast([
    'prior',
    'train',
    '--data',
    await shapesData(),
    '--out',
    dir,
    ...network,
    ...training,
  ]);
  if (end.code !== 0) throw new Error(`prior train ended with ${end.code}\n${end.stderr}`);
  return file;
}

/** Arguments of a tiny run; later flags win over earlier ones. */
export async function runArgs(out: string, ...more: readonly string[]): Promise<string[]> {
  return [
    'run',
    '--data',
    await shapesData(),
    '--prior',
    await shapesPrior(),
    ...TINY_RUN,
    '--out',
    out,
    ...more,
  ];
}

export interface FinishedRun {
  readonly dir: string;
  readonly end: Pick<CliEnd, 'code' | 'stdout' | 'stderr'>;
  /** Largest sum of resident memory over all processes, bytes. */
  readonly peakBytes: number;
}

/** The undisturbed run (seed 1, two workers, `--json`) that others are compared with; done once. */
export async function referenceRun(): Promise<FinishedRun> {
  const dir = join(inject('suiteFolder'), 'reference');
  const record = join(inject('suiteFolder'), 'reference.json');
  if (!existsSync(record)) {
    const cli = Cli.start(await runArgs(dir, '--json'));
    const memory = watchMemory(cli.pid);
    const end = await cli.ended;
    const peakBytes = memory.stop();
    if (end.code !== 0) throw new Error(`the reference run ended with ${end.code}\n${end.stderr}`);
    await writeFile(record, JSON.stringify({ dir, end, peakBytes } satisfies FinishedRun));
  }
  return JSON.parse(readFileSync(record, 'utf8')) as FinishedRun;
}

export function readReport(dir: string): RunReport {
  return JSON.parse(readFileSync(join(dir, 'report.json'), 'utf8')) as RunReport;
}

/** metrics.jsonl without what the clock decides. */
export function readMetrics(dir: string): Omit<EpochRecord, Seconds>[] {
  return jsonLines<EpochRecord>(readFileSync(join(dir, 'metrics.jsonl'), 'utf8')).map(
    ({ synthesisSeconds: _s, trainSeconds: _t, evaluateSeconds: _e, ...record }) => record,
  );
}

type Seconds = 'synthesisSeconds' | 'trainSeconds' | 'evaluateSeconds';

/** The events that `--json` printed. */
export function eventsOf(stdout: string): RunEvent[] {
  return jsonLines<RunEvent>(stdout);
}

/** One value a line; throws where a line is none. */
export function jsonLines<Value>(text: string): Value[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Value);
}
