/**
 * The classifier trainer's service: moves objects in and out on the network thread, and does all heavy work in the
 * compute thread.
 */
import { AsyncQueue } from '../../actors/base/async-queue.ts';
import type { ComputeThread } from '../../actors/compute/compute-thread.ts';
import type { Implementation } from '../../actors/proto/protos.ts';
import type { ActorRuntime } from '../../actors/actor/hosted-actor.ts';
import type { CallContext } from '../../actors/calls/call.ts';
import { UserError } from '../../common/errors.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import type { AddShardRequest__Output } from '../../gen/ballast/v1/AddShardRequest.ts';
import type { AddShardResponse } from '../../gen/ballast/v1/AddShardResponse.ts';
import type { ClassifierTrainerServiceHandlers } from '../../gen/ballast/v1/ClassifierTrainerService.ts';
import type { EvaluateRequest__Output } from '../../gen/ballast/v1/EvaluateRequest.ts';
import type { EvaluateResponse } from '../../gen/ballast/v1/EvaluateResponse.ts';
import type { OpenRequest__Output } from '../../gen/ballast/v1/OpenRequest.ts';
import type { OpenResponse } from '../../gen/ballast/v1/OpenResponse.ts';
import type { OpenResult } from '../../gen/ballast/v1/OpenResult.ts';
import type { TrainEpochRequest__Output } from '../../gen/ballast/v1/TrainEpochRequest.ts';
import type { TrainEpochResponse } from '../../gen/ballast/v1/TrainEpochResponse.ts';
import type { Preparation } from '../../report/records.ts';
import type { EpochProgress, TrainerOperations } from './compute.ts';
import { TrainerMetrics } from './metrics.ts';
import type { OpenedRun, SplitName } from './run.ts';
import type { EpochOutcome } from './training.ts';

const SPLITS: Readonly<Record<string, SplitName>> = {
  SPLIT_TRAIN: 'train',
  SPLIT_VALIDATION: 'validation',
  SPLIT_TEST: 'test',
  SPLIT_DEVELOPMENT: 'development',
  SPLIT_VARIANTS: 'variants',
};
/** Steps between progress messages. */
const PROGRESS_EVERY = 10;
const PREPARATION_LOGGED_EVERY_S = 10;

export function trainerHandlers(
  { objects, registry, log }: Pick<ActorRuntime, 'objects' | 'registry' | 'log'>,
  thread: ComputeThread<TrainerOperations>,
): Implementation<ClassifierTrainerServiceHandlers, CallContext> {
  const metrics = new TrainerMetrics(registry);
  /** Called after every operation that may have needed a new graph. */
  const countGraphs = async () => metrics.graphs.update(await thread.call('graphTotals', undefined));

  return {
    open: (request, { signal }) => open({ thread, metrics, objects, log }, request, signal),
    evaluate: async (request, { signal }) => {
      const result = await evaluate(thread, request, signal);
      await countGraphs();
      return result;
    },
    publishWeights: async () => {
      const { bytes, step } = await thread.call('exportWeights', undefined);
      metrics.weightsPublished(step);
      return { weights: { version: step, object: await objects.put(bytes, { withDigest: true }) } };
    },
    addShard: (request, { signal }) => addShard({ thread, metrics, objects, log }, request, signal),
    judgeEpoch: async ({ epoch }) => {
      const judged = await thread.call('judgeEpoch', epoch);
      await countGraphs();
      return judged;
    },
    inspectEpoch: async ({ epoch }) => {
      const shares = await thread.call('inspectEpoch', epoch);
      return { toldApart: shares.map((share) => share ?? -1) };
    },
    trainEpoch: (request, { signal }) => trainEpoch({ thread, metrics, log }, request, signal),
    renderGrid: ({ epoch, path }) => thread.call('renderGrid', { epoch, path }),
    saveCheckpoint: async ({ dir }) => ({ weightsDigest: await thread.call('saveCheckpoint', dir) }),
    exportModel: async ({ dir }) => ({ weightsDigest: await thread.call('exportModel', dir) }),
  };
}

async function evaluate(
  thread: ComputeThread<TrainerOperations>,
  { split, predictionsPath }: EvaluateRequest__Output,
  signal: AbortSignal,
): Promise<EvaluateResponse> {
  const name = SPLITS[split];
  if (name === undefined) throw new UserError('split: missing; name train, validation, test or development');
  const start = performance.now();
  const measured = await thread.call('evaluate', { split: name, predictionsPath }, { signal });
  return { metricsJson: JSON.stringify(measured), seconds: (performance.now() - start) / 1000 };
}

interface Tools {
  readonly thread: ComputeThread<TrainerOperations>;
  readonly metrics: TrainerMetrics;
  readonly log: ActorRuntime['log'];
}

async function addShard(
  { thread, metrics, objects }: Tools & Pick<ActorRuntime, 'objects'>,
  { epoch, shardIndex, batch, variants }: AddShardRequest__Output,
  signal: AbortSignal,
): Promise<AddShardResponse> {
  if (batch === null) throw new UserError('batch: missing; name the shard’s images');
  const bytes = await objects.get(batch, { signal });
  const images = await thread.call('addShard', { epoch, shardIndex, batch: bytes, variants });
  metrics.shardTaken(images);
  return { images };
}

/** Loads the data and streams how far its decoding is; the last message holds the result. */
async function* open(
  { thread, metrics, log, objects }: Tools & Pick<ActorRuntime, 'objects'>,
  { configJson, checkpointDir }: OpenRequest__Output,
  signal: AbortSignal,
): AsyncGenerator<OpenResponse> {
  const config = parseRunConfig(parseJson(configJson));
  const tell = preparationLog(log);
  const opening = follow<Preparation, OpenedRun>((onProgress) =>
    thread.call('open', { config, checkpointDir }, { signal, onProgress }),
  );
  for await (const preparation of opening.progress) {
    tell(preparation);
    yield { preparation };
  }
  const { anchors, prior, ...opened } = await opening.result;
  metrics.graphs.update(await thread.call('graphTotals', undefined));
  const publish = (bytes: Uint8Array | null) =>
    bytes === null ? null : objects.put(bytes, { withDigest: true });
  const result: OpenResult = {
    ...opened,
    classes: [...opened.classes],
    skipped: [...opened.skipped],
    warnings: [...opened.warnings],
    trainLabels: [...opened.trainLabels],
    anchorLabels: [...opened.anchorLabels],
    anchors: await publish(anchors),
    prior: await publish(prior),
  };
  yield { result };
}

/** Trains, and streams progress every few steps; the last message holds the result. */
async function* trainEpoch(
  { thread, metrics, log }: Tools,
  { epoch, shardCount, imagesEpoch, replay }: TrainEpochRequest__Output,
  signal: AbortSignal,
): AsyncGenerator<TrainEpochResponse> {
  const start = performance.now();
  const steps = await thread.call('stepsOf', epoch);
  const tell = preparationLog(log);
  const training = follow<EpochProgress, EpochOutcome>((onProgress) =>
    thread.call('trainEpoch', { epoch, shardCount, imagesEpoch, replay }, { signal, onProgress }),
  );
  let recent: number[] = [];
  for await (const progress of training.progress) {
    if ('activity' in progress) {
      if (progress.done % PROGRESS_EVERY !== 0) continue;
      tell(progress);
      yield { preparation: progress };
      continue;
    }
    const { step, loss } = progress;
    recent.push(loss);
    metrics.stepDone(loss);
    if (step % PROGRESS_EVERY !== 0) continue;
    yield { step, steps, loss: recent.reduce((a, b) => a + b, 0) / recent.length };
    recent = [];
  }
  const { meanLoss, step } = await training.result;
  const seconds = (performance.now() - start) / 1000;
  metrics.epochDone(seconds);
  yield { step: steps, steps, loss: meanLoss, result: { meanLoss, seconds, step } };
}

/** Starts `work`. Its progress ends when it does; its result, or error, is heard afterwards. */
function follow<Progress, Result>(
  work: (onProgress: (value: unknown) => void) => Promise<Result>,
): { readonly progress: AsyncIterable<Progress>; readonly result: Promise<Result> } {
  const queue = new AsyncQueue<Progress>();
  const result = work((value) => queue.push(value as Progress)).finally(() => queue.close());
  result.catch(() => undefined);
  return { progress: queue.iterate(), result };
}

/** Logs preparation at most once in ten seconds of each activity. */
function preparationLog(log: ActorRuntime['log']): (preparation: Preparation) => void {
  let loggedAt = 0;
  return ({ activity, done, total, seconds }) => {
    if (seconds >= loggedAt && seconds - loggedAt < PREPARATION_LOGGED_EVERY_S) return;
    loggedAt = seconds; // falls where another activity, or another part of the data, begins
    const rate = done / seconds;
    log.info('preparing', { activity, done, total, perSecond: Math.round(rate), secondsLeft: Math.round((total - done) / rate) }); // prettier-ignore
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError('config_json: not JSON', { cause });
  }
}
