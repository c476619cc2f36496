/**
 * A whole run over typed handles: opens the trainer, does epoch after epoch, evaluates test once, writes the report.
 * Between two epochs everything is in the run folder, so that a dead trainer, a cancelled run and a resumed one all
 * begin again at the same place and end the same.
 */
import { onAbort } from '../../common/abort.ts';
import { toError, UserError } from '../../common/errors.ts';
import type { RunConfig } from '../../config/run-config.ts';
import { labellerSteps } from '../../config/training-config.ts';
import type { OpenResult__Output } from '../../gen/ballast/v1/OpenResult.ts';
import { classesToldApart, type EpochRecord, type RunReport } from '../../report/records.ts';
import { type ActorLink, type Crew, type LinkStatus, TrainerLost, when, whenAlive } from '../crew/crew.ts';
import { evaluate, recordEngines, runEpoch, type EpochTools } from './epoch.ts';
import { countClasses } from './fidelity.ts';
import { openedBy } from './preparation.ts';
import { actorFacts, type ActorEngine } from '../../report/engines.ts';
import type { RunEvents } from '../records/run-events.ts';
import type { RunFolder } from '../records/run-folder.ts';
import type { RunMetrics } from './run-metrics.ts';
import type { RunState } from '../records/run-state.ts';
import { CALL_DEADLINE_MS } from './synthesis.ts';

export interface RunInput {
  readonly config: RunConfig;
  readonly folder: RunFolder;
  readonly crew: Crew;
  readonly events: RunEvents;
  readonly metrics: RunMetrics;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** Aborting it cancels the run: the last complete epoch's checkpoint is kept. */
  readonly signal: AbortSignal;
  /** Facts of the coordinator's own process, for environment.json and the report. */
  readonly environment: Readonly<Record<string, string>>;
  /** Draws report.html and its pictures. */
  readonly renderReport: (dir: string, report: RunReport) => Promise<unknown>;
  /** How long a lost call waits for the report that the trainer's process died. */
  readonly autopsyMs?: number;
}

export type RunOutcome =
  | { readonly status: 'finished'; readonly report: RunReport } /** `epoch` is the last complete one. */
  | { readonly status: 'cancelled'; readonly epoch: number };

/** Times that the trainer may die in one epoch before the run gives up. */
const MAX_TRAINER_LOSSES = 5;
const AUTOPSY_MS = 5000;

/** The state that outlives a trainer's process. */
interface Progress {
  /** After the last complete epoch. */
  state: RunState;
  /** Whether the start has been reported. */
  isTold: boolean;
}

/** Does the run's remaining epochs. Rejects with a UserError, or when something cannot be mended by starting again. */
export async function runLoop(input: RunInput): Promise<RunOutcome> {
  const stopTelling = tellDeaths(input);
  try {
    await input.folder.claim();
    const progress: Progress = { state: await input.folder.checkpoints.readState(), isTold: false };
    await input.folder.writeMetrics();
    for (let losses = 0; ;) {
      const before = progress.state.epoch;
      try {
        return { status: 'finished', report: await driveTrainer(input, progress) };
      } catch (thrown) {
        const { epoch } = progress.state;
        if (input.signal.aborted) return await cancelled(input, epoch);
        if (!(thrown instanceof TrainerLost)) throw thrown;
        losses = epoch > before ? 1 : losses + 1;
        if (losses <= MAX_TRAINER_LOSSES) continue;
        const message = `the trainer died ${losses} times in epoch ${epoch + 1}: ${thrown.message}`;
        throw new Error(message, { cause: thrown });
      }
    }
  } finally {
    stopTelling();
    await input.folder.withdraw();
  }
}

/** From opening a trainer's process to the end of the run, or of that process. */
async function driveTrainer(input: RunInput, progress: Progress): Promise<RunReport> {
  const { crew, folder, events, config } = input;
  const guard = guardTrainer(input, await whenAlive(crew.trainer, input.signal));
  try {
    const opened = await openTrainer(input, progress.state, guard.signal);
    if (!progress.isTold) await tellStart(input, opened, progress.state);
    progress.isTold = true;
    await recordEngines([trainerEngine(crew, opened)], input);
    const tools: EpochTools = { ...input, opened, signal: guard.signal };
    while (progress.state.epoch < config.training.epochs) {
      const { state, folder: attempt, weightsDigest } = await runEpoch(progress.state, tools);
      progress.state = await folder.commitEpoch(state, attempt, weightsDigest);
      events.emit({ type: 'epoch', record: progress.state.records.at(-1)! });
    }
    return await finish(input, tools, progress.state);
  } catch (thrown) {
    throw await guard.explain(thrown);
  } finally {
    guard.release();
  }
}

async function openTrainer(
  input: RunInput,
  state: RunState,
  signal: AbortSignal,
): Promise<OpenResult__Output> {
  const { crew, config, folder } = input;
  const checkpointDir = state.epoch > 0 ? await folder.checkpoints.trainerDir(state.epoch) : '';
  const request = { configJson: JSON.stringify(config), checkpointDir };
  const opened = await openedBy(
    crew.trainer.handle.open(request, { deadlineMs: CALL_DEADLINE_MS, signal }),
    (preparation) => input.events.emit(preparation),
  );
  if (state.datasetDigest !== null && state.datasetDigest !== opened.datasetDigest)
    throw new UserError(
      `${config.data.source}: the training images are not those that ${folder.dir} began with; ` +
        'restore them, or start a new run',
    );
  return opened;
}

/** Whether the run continues with the same data at another place (`--resume` with `--data`). */
function hasMovedData(kept: RunConfig, now: RunConfig): boolean {
  return JSON.stringify(kept.data) !== JSON.stringify(now.data);
}

/** Begins the folder's records: not before the trainer accepted configuration and data, so that a mistake leaves no run. */
async function tellStart(input: RunInput, opened: OpenResult__Output, state: RunState): Promise<void> {
  const { config, folder, events } = input;
  await folder.checkpoints.checkHolder();
  if (!(await folder.holdsRun()) || hasMovedData(await folder.readConfig(), config))
    await folder.writeConfig(config);
  await folder.writeClasses(opened.classes);
  await folder.addEnvironment({
    startedAt: new Date().toISOString(),
    firstEpoch: state.epoch + 1,
    seed: config.seed,
    workers: config.workers,
    facts: { ...input.environment, ...opened.environment },
  });
  const { skipped, warnings } = opened;
  if (skipped.length + warnings.length > 0) events.emit({ type: 'data', skipped, warnings });
  events.emit({
    type: 'started',
    method: config.method,
    seed: config.seed,
    classes: opened.classes,
    classCounts: countClasses(opened.trainLabels, opened.classes.length),
    epochs: config.training.epochs,
    firstEpoch: state.epoch + 1,
    runDir: folder.dir,
  });
}

function trainerEngine({ trainer }: Crew, { environment }: OpenResult__Output): ActorEngine {
  return { actor: trainer.name, engine: environment['engine'] ?? '', choice: environment['device'] ?? '' };
}

/** Test, or development in its place, is evaluated here and nowhere else. */
const SPLITS = { test: 'SPLIT_TEST', development: 'SPLIT_DEVELOPMENT' } as const;

async function finish(input: RunInput, tools: EpochTools, state: RunState): Promise<RunReport> {
  const { config, folder, crew, events, clock } = input;
  const { opened } = tools;
  const startMs = clock();
  const finalMetrics = async (split: 'test' | 'development', count: number) =>
    count > 0 ? (await evaluate(SPLITS[split], tools, folder.predictionsPath(split))).metrics : null;
  const test = await finalMetrics('test', opened.testCount);
  const development = await finalMetrics('development', opened.developmentCount);
  const weightsDigest = await exportModel(input, tools.signal);
  const last = state.records.at(-1);
  const report: RunReport = {
    method: config.method,
    seed: config.seed,
    classes: opened.classes,
    classCounts: countClasses(opened.trainLabels, opened.classes.length),
    optimizerSteps: last?.optimizerSteps ?? 0,
    ...(labellerSteps(config.training) > 0 ? { labellerSteps: labellerSteps(config.training) } : {}),
    workers: crew.workers.list().length,
    syntheticImages: state.records.reduce((sum, record) => sum + record.syntheticImages, 0),
    seconds: state.seconds + (clock() - startMs) / 1000,
    weightsDigest,
    environment: { ...input.environment, ...opened.environment, ...actorFacts(await folder.readEngines()) },
    epochs: state.records,
    validation: last?.validation ?? null,
    test,
    ...(development === null ? {} : { development }),
    ...(opened.skipped.length > 0 ? { skippedImages: opened.skipped } : {}),
    ...(opened.warnings.length > 0 ? { dataWarnings: opened.warnings } : {}),
    ...imageWarnings(opened.classes, state.records),
  };
  const drawingWarning = await drawReport(input, report);
  await folder.checkpoints.checkHolder();
  await folder.clearHalfWritten();
  const final = await folder.writeReport({ ...report, ...(drawingWarning && { drawingWarning }) }); // last: a folder that has it is finished, and --resume does no more
  events.emit({ type: 'finished', report: final });
  await events.flush();
  return final;
}

/** Writes the final model; returns the digest of its weights, which are those of the last epoch. */
async function exportModel({ crew, folder }: RunInput, signal: AbortSignal): Promise<string> {
  const options = { deadlineMs: CALL_DEADLINE_MS, signal };
  await folder.checkpoints.checkHolder();
  const { weightsDigest } = await crew.trainer.handle.exportModel({ dir: folder.modelDir }, options);
  const committed = (await folder.checkpoints.lastCommit())?.weightsDigest ?? weightsDigest;
  if (committed !== weightsDigest)
    throw new Error(`the trainer exported weights ${weightsDigest}, the last epoch has ${committed}`);
  return weightsDigest;
}

/** A trained run is a finished run, even where its pictures fail: then the reason comes back, for the report. */
async function drawReport({ renderReport, folder }: RunInput, report: RunReport): Promise<string | null> {
  try {
    await renderReport(folder.dir, report);
    return null;
  } catch (thrown) {
    const reason = toError(thrown).message.split('\n')[0];
    return `report.html or its pictures could not be drawn (${reason}); try: ballast report ${folder.dir}`;
  }
}

/** The classes whose synthetic images were too easily distinguished from real ones at the last synthesis. */
function imageWarnings(
  classes: readonly string[],
  records: readonly EpochRecord[],
): Pick<RunReport, 'imageWarnings'> {
  const last = records.findLast(({ toldApart }) => toldApart !== undefined);
  if (last === undefined) return {};
  const told = classesToldApart(last).map(
    (label) => `${classes[label]} (${Math.round(100 * last.toldApart![label]!)}%)`,
  );
  if (told.length === 0) return {};
  const line =
    `a small classifier distinguishes synthetic images from real ones by their fine structure: ${told.join(', ')}; ` +
    'look at the grids, and try a smaller synthesis.guidance.scale, guidance.lowPass, or a better prior';
  return { imageWarnings: [line] };
}

async function cancelled({ config, events }: RunInput, epoch: number): Promise<RunOutcome> {
  events.emit({ type: 'cancelled', epoch: Math.min(epoch + 1, config.training.epochs) }); // the one in progress
  await events.flush();
  return { status: 'cancelled', epoch };
}

/** A signal for one trainer process: aborted when the run is cancelled, or with TrainerLost when the process dies. */
function guardTrainer(input: RunInput, opened: LinkStatus) {
  const { trainer } = input.crew;
  const controller = new AbortController();
  const isGone = (status: LinkStatus) =>
    status.state !== 'alive' || status.incarnation !== opened.incarnation;
  const check = (status: LinkStatus) => {
    if (isGone(status)) controller.abort(new TrainerLost(status.reason));
  };
  const stops = [trainer.onStatus(check), onAbort(input.signal, () => controller.abort(input.signal.reason))];
  check(trainer.status());
  return {
    signal: controller.signal,
    /** Interprets a failure: a lost call is a lost trainer if its process has died. */
    async explain(thrown: unknown): Promise<unknown> {
      if (controller.signal.aborted) return controller.signal.reason;
      if (!isConnectionLoss(thrown)) return thrown;
      const patience = AbortSignal.any([AbortSignal.timeout(input.autopsyMs ?? AUTOPSY_MS), input.signal]);
      const gone = await when(trainer, patience, isGone).catch(() => null);
      return gone ? new TrainerLost(gone.reason, { cause: thrown }) : thrown;
    },
    release() {
      for (const stop of stops) stop();
    },
  };
}

function isConnectionLoss(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'UNAVAILABLE';
}

/** Tells live views and the bus of every process that dies or comes back. */
function tellDeaths({ crew, events }: RunInput): () => void {
  const follow = (link: ActorLink<unknown>) => {
    let seen = link.status();
    return link.onStatus((status) => {
      const isNews = status.state !== seen.state && (status.state !== 'alive' || status.incarnation > 1);
      seen = status;
      if (isNews)
        events.emit({ type: 'actor', actor: link.name, state: status.state, reason: status.reason });
    });
  };
  const stops = [crew.trainer, ...crew.workers.list()].map(follow);
  stops.push(crew.workers.onJoined((worker) => stops.push(follow(worker))));
  return () => stops.forEach((stop) => stop());
}
