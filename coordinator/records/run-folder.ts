/**
 * The run folder: every path in it, and how its records are written, so that a writer that was replaced without its
 * knowledge cannot corrupt them:
 *
 * - `checkpoints/`: exclusive commits (checkpoints.ts). Everything else follows from them.
 * - `metrics.jsonl`: always rewritten as a whole from the committed state; the writer then checks whether more
 *   has been committed meanwhile, and then writes it again.
 * - `grids/`, `model/`: replaced at once, by the same bytes from any writer; the model's digest is compared with the
 *   last commit's.
 * - `report.json`: created exclusively, once, from the committed records.
 * - `config.json`, `classes.json`: the same from any writer. `environment.json`: only by the holder; of two starts
 *   in one instant a line may be lost.
 * - `events.jsonl` has one writer, the node; opening it again leaves an earlier writer with a file that has no name
 *   (actors/control/event-log.ts).
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { ensureDirectory, writeFileAtomic, writeFileExclusive } from '../../common/files.ts';
import { parseJson, parseJsonObject } from '../../common/json-file.ts';
import { parseRunConfig, type RunConfig } from '../../config/run-config.ts';
import { type ActorEngine, unequalEngines } from '../../report/engines.ts';
import type { RunReport } from '../../report/records.ts';
import { Checkpoints, epochName, readOrNull, removeHalfWritten } from './checkpoints.ts';
import type { RunState } from './run-state.ts';

/** One start of a run, as environment.json lists it. */
export interface EnvironmentEntry {
  readonly startedAt: string;
  /** First epoch of this start. */
  readonly firstEpoch: number;
  readonly seed: number;
  readonly workers: number;
  readonly facts: Readonly<Record<string, string>>;
  /** Engines and devices of the actors of this start; absent in records of earlier versions. */
  readonly engines?: readonly ActorEngine[];
}

const ANEW = 'start the run again with --overwrite';

export class RunFolder {
  readonly dir: string;
  readonly checkpoints: Checkpoints;

  constructor(dir: string) {
    this.dir = dir;
    this.checkpoints = new Checkpoints(join(dir, 'checkpoints'));
  }

  get reportPath(): string {
    return join(this.dir, 'report.json');
  }

  get #environmentPath(): string {
    return join(this.dir, 'environment.json');
  }

  get modelDir(): string {
    return join(this.dir, 'model');
  }

  /** Predictions of the final classifier for each image of a split, as CSV. */
  predictionsPath(split: 'validation' | 'test' | 'development'): string {
    return join(this.dir, `predictions-${split}.csv`);
  }

  /** Files and folders whose times change with the last epoch, the classes and the report. */
  get factFiles(): readonly string[] {
    return [join(this.dir, 'checkpoints'), join(this.dir, 'classes.json'), this.reportPath];
  }

  /** Inside the run folder: `grids/epoch-003.png`. */
  gridName(epoch: number): string {
    return `grids/${epochName(epoch)}.png`;
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
    return parseRunConfig(parseJsonObject(text, path, ANEW), () => path);
  }

  /** Names of the classes, in index order, as the trainer found them. */
  async writeClasses(classes: readonly string[]): Promise<void> {
    await writeFileAtomic(join(this.dir, 'classes.json'), pretty(classes));
  }

  /** None before the data was read. */
  async readClasses(): Promise<readonly string[]> {
    const path = join(this.dir, 'classes.json');
    const text = await readOrNull(path);
    if (text === null) return [];
    const names = parseJson(text, path, ANEW);
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
    throw new UserError(`${path} is damaged: it is not a list of names; ${ANEW}`);
  }

  /** Whether a run began here. */
  async holdsRun(): Promise<boolean> {
    return (await readOrNull(join(this.dir, 'config.json'))) !== null;
  }

  /** Makes this process the run's holder, and clears away what killed ones left half written or had yet to remove. */
  async claim(): Promise<void> {
    await this.checkpoints.claim();
    await this.clearHalfWritten();
    await this.checkpoints.prune(await this.lastEpoch());
  }

  /** Undoes the claim of a run that never began: a mistake leaves no run. */
  async withdraw(): Promise<void> {
    if (!(await this.holdsRun())) await rm(join(this.dir, 'checkpoints'), { recursive: true, force: true });
  }

  /** Files that killed writers were at; also those of sleepers that were killed when they woke. */
  async clearHalfWritten(): Promise<void> {
    for (const name of ['', 'checkpoints', 'grids', 'model']) await removeHalfWritten(join(this.dir, name));
  }

  /** The last complete epoch; 0 for none. */
  async lastEpoch(): Promise<number> {
    return (await this.checkpoints.lastCommit())?.epoch ?? 0;
  }

  /**
   * Commits `state.epoch`, whose trainer half is in the attempt's folder; then updates metrics.jsonl and removes old
   * checkpoints. Resolves with the committed state. @throws Replaced
   */
  async commitEpoch(state: RunState, folder: string, weightsDigest: string): Promise<RunState> {
    const committed = await this.checkpoints.commit(state, folder, weightsDigest);
    await this.checkpoints.checkHolder();
    await this.writeMetrics();
    await this.checkpoints.prune(committed.epoch);
    return committed;
  }

  /** Makes metrics.jsonl say what the commits say, however many are made meanwhile. */
  async writeMetrics(): Promise<void> {
    for (;;) {
      const { epoch, records } = await this.checkpoints.readState();
      const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
      await writeFileAtomic(join(this.dir, 'metrics.jsonl'), text);
      if ((await this.lastEpoch()) === epoch) return;
    }
  }

  /** Adds a start of the run to environment.json. */
  async addEnvironment(entry: EnvironmentEntry): Promise<void> {
    await this.#writeStarts([...(await this.#readStarts()), entry]);
  }

  /** Adds to the latest start what its actors computed on; what it names already stays as it is. */
  async addEngines(engines: readonly ActorEngine[]): Promise<void> {
    const starts = await this.#readStarts();
    const latest = starts.at(-1);
    if (latest === undefined) return; // somebody deleted the file
    const known = latest.engines ?? [];
    const all = unequalEngines([...known, ...engines]);
    if (all.length === known.length) return;
    await this.#writeStarts([...starts.slice(0, -1), { ...latest, engines: all }]);
  }

  /** Engines and devices of the actors of all starts. @throws UserError if environment.json is damaged */
  async readEngines(): Promise<ActorEngine[]> {
    return (await this.#readStarts()).flatMap((start) => start.engines ?? []);
  }

  async #readStarts(): Promise<readonly EnvironmentEntry[]> {
    const text = await readOrNull(this.#environmentPath);
    const advice = 'delete it: it only records the machine and versions of the run';
    const starts =
      text === null ? [] : (parseJsonObject(text, this.#environmentPath, advice)['starts'] ?? []);
    return starts as readonly EnvironmentEntry[];
  }

  async #writeStarts(starts: readonly EnvironmentEntry[]): Promise<void> {
    await writeFileAtomic(this.#environmentPath, pretty({ starts }));
  }

  /** Finishes the run; if another coordinator has done so already, its report is kept and returned. */
  async writeReport(report: RunReport): Promise<RunReport> {
    const isFirst = await writeFileExclusive(this.reportPath, pretty(report));
    return isFirst ? report : ((await this.readReport()) ?? report);
  }

  /** The finished run's report; null while it is not finished. */
  async readReport(): Promise<RunReport | null> {
    const text = await readOrNull(this.reportPath);
    if (text === null) return null;
    const advice = 'delete it and resume the run, which writes it again';
    return parseJsonObject(text, this.reportPath, advice) as unknown as RunReport;
  }
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
