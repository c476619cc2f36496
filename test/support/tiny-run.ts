/** The tiny IOIS run that system and chaos tests share: its data, its prior, its flags, and what it leaves. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../common/errors.ts';
import type { EpochRecord, RunEvent, RunReport } from '../../report/records.ts';
import { ballast, Cli, type CliEnd } from './cli.ts';
import { watchMemory } from '../../common/process-tree.ts';
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

/** All functions here share one folder; the first that needs a file makes it, the others wait for it. */
export class TinyRun {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes a thing once for all processes of the suite. */
  async #once(name: string, make: () => Promise<void>): Promise<void> {
    const [turn, done] = [join(this.#folder, `${name}.turn`), join(this.#folder, `${name}.done`)];
    while (!existsSync(done)) {
      if (!tookTurn(turn)) {
        await delay(100);
        continue;
      }
      try {
        if (!existsSync(done)) await make();
        writeFileSync(done, '');
      } finally {
        rmdirSync(turn);
      }
    }
  }

  /** Folder of the drawn shapes (shapes.ts). */
  async data(): Promise<string> {
    const dir = join(this.#folder, 'shapes');
    await this.#once('shapes', () => writeShapes(dir));
    return dir;
  }

  /** A small prior, trained on the shapes by `ballast prior train` for a few steps. */
  async prior(): Promise<string> {
    const dir = join(this.#folder, 'prior');
    await this.#once('prior', async () => {
      const network = ['--set', 'denoiser.widths=[8,16]', '--set', 'denoiser.groups=4'];
      const training = ['--steps', '150', '--batch-size', '16', '--set', 'averageDecay=0.95'];
      const data = await this.data();
      const end = await ballast(['prior', 'train', '--data', data, '--out', dir, ...network, ...training]);
      if (end.code !== 0) throw new Error(`prior train ended with ${end.code}\n${end.stderr}`);
    });
    return join(dir, 'prior.safetensors');
  }

  /** A judge of the shapes, trained by `ballast judge train`; beside the prior, where coordinators may read. */
  async judge(): Promise<string> {
    const file = join(dirname(await this.prior()), 'judge.safetensors');
    await this.#once('judge', async () => {
      const network = ['--set', 'classifier.widths=[8,16]', '--set', 'classifier.groups=4'];
      const training = ['--epochs', '12', '--batch-size', '8'];
      const data = await this.data();
      const end = await ballast(['judge', 'train', '--data', data, '--out', file, ...training, ...network]);
      if (end.code !== 0) throw new Error(`judge train ended with ${end.code}\n${end.stderr}`);
    });
    return file;
  }

  /** Arguments of a tiny run; later flags win over earlier ones. */
  async args(out: string, ...more: readonly string[]): Promise<string[]> {
    const [data, prior] = [await this.data(), await this.prior()];
    return ['run', '--data', data, '--prior', prior, ...TINY_RUN, '--out', out, ...more];
  }

  /** The undisturbed run (seed 1, two workers, `--json`) that others are compared with; done once. */
  async reference(): Promise<FinishedRun> {
    const dir = join(this.#folder, 'reference');
    const record = join(this.#folder, 'reference.json');
    await this.#once('reference', async () => {
      const cli = Cli.start(await this.args(dir, '--json'));
      const memory = watchMemory(cli.pid);
      const end = await cli.ended;
      const peakBytes = memory.stop();
      if (end.code !== 0) throw new Error(`the reference run ended with ${end.code}\n${end.stderr}`);
      await writeFile(record, JSON.stringify({ dir, end, peakBytes } satisfies FinishedRun));
    });
    return JSON.parse(readFileSync(record, 'utf8')) as FinishedRun;
  }
}

/** Whether a folder could be made, which one process alone can. */
function tookTurn(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

export interface FinishedRun {
  readonly dir: string;
  readonly end: Pick<CliEnd, 'code' | 'stdout' | 'stderr'>;
  /** Largest sum of resident memory over all processes, bytes. */
  readonly peakBytes: number;
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
