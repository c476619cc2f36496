/**
 * The run folder: every path in it, and how its records are written. A checkpoint is complete when
 * `checkpoints/latest.json` names it, and that file is written last; whatever is cut off before leaves the checkpoint
 * before it in force.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, UserError } from '../common/errors.ts';
import { appendLine, ensureDirectory, writeFileAtomic } from '../common/files.ts';
import { parseRunConfig, type RunConfig } from '../config/run-config.ts';
import type { EpochRecord, RunReport } from '../report/records.ts';
import { decodeRunState, encodeRunState, INITIAL_RUN_STATE, type RunState } from './run-state.ts';

/** Checkpoints kept: the latest, and the one before in case the latest is damaged. */
const KEPT_CHECKPOINTS = 2;

/** One start of a run, as environment.json lists it. */
export interface EnvironmentEntry {
  readonly startedAt: string;
  /** First epoch of this start. */
  readonly firstEpoch: number;
  readonly seed: number;
  readonly workers: number;
  readonly facts: Readonly<Record<string, string>>;
}

export class RunFolder {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  get reportPath(): string {
    return join(this.dir, 'report.json');
  }

  get modelDir(): string {
    return join(this.dir, 'model');
  }

  /** Inside the run folder: `grids/epoch-003.png`. */
  gridName(epoch: number): string {
    return `grids/${epochName(epoch)}.png`;
  }

  /** Folder of the trainer's half of a checkpoint. */
  trainerCheckpoint(epoch: number): string {
    return join(this.#checkpoint(epoch), 'trainer');
  }

  async writeConfig(config: RunConfig): Promise<void> {
    await ensureDirectory(this.dir);
    await writeFileAtomic(join(this.dir, 'config.json'), pretty(config));
  }

  /** The configuration that the run began with. Throws UserError when the folder holds none. */
  async readConfig(): Promise<RunConfig> {
    const path = join(this.dir, 'config.json');
    const text = await readOrNull(path);
    if (text === null) throw new UserError(`${this.dir} is not a run folder: it has no config.json`);
    return parseRunConfig(JSON.parse(text), () => path);
  }

  /** Whether a run began here. */
  async holdsRun(): Promise<boolean> {
    return (await readOrNull(join(this.dir, 'config.json'))) !== null;
  }

  /** State after the last complete epoch; the initial state when there is none. */
  async readState(): Promise<RunState> {
    const epoch = await this.lastEpoch();
    if (epoch === 0) return INITIAL_RUN_STATE;
    const path = join(this.#checkpoint(epoch), 'coordinator.json');
    const text = await readOrNull(path);
    if (text === null) throw new UserError(`${path} is missing; the checkpoint cannot be used`);
    return decodeRunState(text, path);
  }

  /** The last complete epoch; 0 for none. */
  async lastEpoch(): Promise<number> {
    const text = await readOrNull(join(this.dir, 'checkpoints', 'latest.json'));
    return text === null ? 0 : (JSON.parse(text) as { epoch: number }).epoch;
  }

  /**
   * Completes the checkpoint of `state.epoch`, whose trainer half is already written; then appends the epoch's
   * record to metrics.jsonl and removes old checkpoints.
   */
  async commitEpoch(state: RunState): Promise<void> {
    await writeFileAtomic(join(this.#checkpoint(state.epoch), 'coordinator.json'), encodeRunState(state));
    await writeFileAtomic(join(this.dir, 'checkpoints', 'latest.json'), `{"epoch":${state.epoch}}\n`);
    const record = state.records.at(-1);
    if (record) await appendLine(this.#metricsPath, JSON.stringify(record));
    const old = state.epoch - KEPT_CHECKPOINTS;
    if (old > 0) await rm(this.#checkpoint(old), { recursive: true, force: true });
  }

  /** Makes metrics.jsonl say what the checkpoint says: a crash may have cut a line off, or left one out. */
  async restoreMetrics(records: readonly EpochRecord[]): Promise<void> {
    await writeFileAtomic(this.#metricsPath, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  }

  /** Adds a start of the run to environment.json. */
  async addEnvironment(entry: EnvironmentEntry): Promise<void> {
    const path = join(this.dir, 'environment.json');
    const text = await readOrNull(path);
    const starts = text === null ? [] : (JSON.parse(text) as { starts: EnvironmentEntry[] }).starts;
    await writeFileAtomic(path, pretty({ starts: [...starts, entry] }));
  }

  async writeReport(report: RunReport): Promise<void> {
    await writeFileAtomic(this.reportPath, pretty(report));
  }

  /** The finished run's report; null while it is not finished. */
  async readReport(): Promise<RunReport | null> {
    const text = await readOrNull(this.reportPath);
    return text === null ? null : (JSON.parse(text) as RunReport);
  }

  get #metricsPath(): string {
    return join(this.dir, 'metrics.jsonl');
  }

  #checkpoint(epoch: number): string {
    return join(this.dir, 'checkpoints', epochName(epoch));
  }
}

/** `epoch-003`. */
function epochName(epoch: number): string {
  return `epoch-${String(epoch).padStart(3, '0')}`;
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}
