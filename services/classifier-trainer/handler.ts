/** The classifier trainer's service: objects in and out on the network thread, everything heavy in the compute thread. */
import { AsyncQueue } from '../../actors/base/async-queue.ts';
import type { ComputeThread } from '../../actors/compute/compute-thread.ts';
import type { Implementation } from '../../actors/proto/protos.ts';
import type { ActorRuntime } from '../../actors/actor/hosted-actor.ts';
import type { CallContext } from '../../actors/calls/call.ts';
import { UserError } from '../../common/errors.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import type { ClassifierTrainerServiceHandlers } from '../../gen/ballast/v1/ClassifierTrainerService.ts';
import type { OpenResponse } from '../../gen/ballast/v1/OpenResponse.ts';
import type { TrainEpochRequest__Output } from '../../gen/ballast/v1/TrainEpochRequest.ts';
import type { TrainEpochResponse } from '../../gen/ballast/v1/TrainEpochResponse.ts';
import type { DecodeProgress } from '../../data/decode.ts';
import type { StepProgress, TrainerOperations } from './compute.ts';
import { TrainerMetrics } from './metrics.ts';
import type { SplitName } from './run.ts';

const SPLITS: Readonly<Record<string, SplitName>> = {
  SPLIT_TRAIN: 'train',
  SPLIT_VALIDATION: 'validation',
  SPLIT_TEST: 'test',
  SPLIT_DEVELOPMENT: 'development',
  SPLIT_VARIANTS: 'variants',
};
/** Steps between progress messages. */
const PROGRESS_EVERY = 10;
const DECODING_TOLD_EVERY_S = 10;

export function trainerHandlers(
  { objects, registry, log }: Pick<ActorRuntime, 'objects' | 'registry' | 'log'>,
  thread: ComputeThread<TrainerOperations>,
): Implementation<ClassifierTrainerServiceHandlers, CallContext> {
  const metrics = new TrainerMetrics(registry);
  /** After every operation that may have needed a new graph. */
  const countGraphs = async () => metrics.graphs.update(await thread.call('graphTotals', undefined));
  const publish = (bytes: Uint8Array | null) =>
    bytes === null ? null : objects.put(bytes, { withDigest: true });

  return {
    open: async ({ configJson, checkpointDir }): Promise<OpenResponse> => {
      const config = parseRunConfig(parseJson(configJson));
      const { anchors, anchorLabels, prior, trainLabels, classes, skipped, warnings, ...rest } =
        await thread.call('open', { config, checkpointDir }, { onProgress: decodingLog(log) });
      await countGraphs();
      return {
        ...rest,
        classes: [...classes],
        skipped: [...skipped],
        warnings: [...warnings],
        trainLabels: [...trainLabels],
        anchorLabels: [...anchorLabels],
        anchors: await publish(anchors),
        prior: await publish(prior),
      };
    },
    evaluate: async ({ split, predictionsPath }, { signal }) => {
      const name = SPLITS[split];
      if (name === undefined)
        throw new UserError('split: missing; name train, validation, test or development');
      const start = performance.now();
      const measured = await thread.call('evaluate', { split: name, predictionsPath }, { signal });
      await countGraphs();
      return { metricsJson: JSON.stringify(measured), seconds: (performance.now() - start) / 1000 };
    },
    publishWeights: async () => {
      const { bytes, step } = await thread.call('exportWeights', undefined);
      metrics.weightsPublished(step);
      return { weights: { version: step, object: await objects.put(bytes, { withDigest: true }) } };
    },
    addShard: async ({ epoch, shardIndex, batch, variants }, { signal }) => {
      if (batch === null) throw new UserError('batch: missing; name the shard’s images');
      const bytes = await objects.get(batch, { signal });
      const images = await thread.call('addShard', { epoch, shardIndex, batch: bytes, variants });
      metrics.shardTaken(images);
      return { images };
    },
    judgeEpoch: async ({ epoch }) => {
      const judged = await thread.call('judgeEpoch', epoch);
      await countGraphs();
      return judged;
    },
    inspectEpoch: async ({ epoch }) => {
      const shares = await thread.call('inspectEpoch', epoch);
      return { toldApart: shares.map((share) => share ?? -1) };
    },
    trainEpoch: (request, { signal }) => trainEpoch(thread, metrics, request, signal),
    renderGrid: async ({ epoch, path }) => {
      await thread.call('renderGrid', { epoch, path });
      return {};
    },
    saveCheckpoint: async ({ dir }) => ({ weightsDigest: await thread.call('saveCheckpoint', dir) }),
    exportModel: async ({ dir }) => ({ weightsDigest: await thread.call('exportModel', dir) }),
  };
}

/** Trains, and says every few steps how far it is; the last message holds the result. */
async function* trainEpoch(
  thread: ComputeThread<TrainerOperations>,
  metrics: TrainerMetrics,
  { epoch, shardCount, imagesEpoch, replay }: TrainEpochRequest__Output,
  signal: AbortSignal,
): AsyncGenerator<TrainEpochResponse> {
  const start = performance.now();
  const steps = await thread.call('stepsOf', epoch);
  const progress = new AsyncQueue<StepProgress>();
  const trained = thread
    .call(
      'trainEpoch',
      { epoch, shardCount, imagesEpoch, replay },
      {
        signal,
        onProgress: (value) => progress.push(value as StepProgress),
      },
    ) // prettier-ignore
    .finally(() => progress.close());
  trained.catch(() => undefined); // heard below, after the progress
  let recent: number[] = [];
  for await (const { step, loss } of progress.iterate()) {
    recent.push(loss);
    metrics.stepDone(loss);
    if (step % PROGRESS_EVERY !== 0) continue;
    yield { step, steps, loss: recent.reduce((a, b) => a + b, 0) / recent.length };
    recent = [];
  }
  const { meanLoss, step } = await trained;
  const seconds = (performance.now() - start) / 1000;
  metrics.epochDone(seconds);
  yield { step: steps, steps, loss: meanLoss, result: { meanLoss, seconds, step } };
}

/** Says every ten seconds how far the decoding of the data is. */
function decodingLog(log: ActorRuntime['log']): (progress: unknown) => void {
  let toldAt = 0;
  return (progress) => {
    const { done, count, seconds } = progress as DecodeProgress;
    if (seconds >= toldAt && seconds - toldAt < DECODING_TOLD_EVERY_S) return;
    toldAt = seconds; // falls where another part of the data begins
    const rate = done / seconds;
    log.info('decoding images', { done, count, imagesPerSecond: Math.round(rate), secondsLeft: Math.round((count - done) / rate) }); // prettier-ignore
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError('config_json: not JSON', { cause });
  }
}
