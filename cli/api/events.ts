/** Events of the public API as the terminal view knows them. */
import { fromDuration, fromTimestamp } from '../../coordinator/api/struct.ts';
import type { Epoch__Output } from '../../gen/ballast/v1/Epoch.ts';
import type { Metrics__Output } from '../../gen/ballast/v1/Metrics.ts';
import type { PreparationProgress__Output } from '../../gen/ballast/v1/PreparationProgress.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { worstOf } from '../../report/class-recall.ts';
import type { EpochRecord, Metrics, RunEvent } from '../../report/records.ts';

/** Null for a change of the run's state, and for events of a later version, which the view does not know. */
export function toViewEvent(event: RunEvent__Output): RunEvent | null {
  const { started, quotaDecided, epochFinished, actorChanged, dataDoubted } = event;
  const { synthesisProgress, trainingProgress, preparationProgress } = event;
  if (started) return { type: 'started', ...started, runDir: '' };
  if (quotaDecided) return { type: 'quota', ...quotaDecided };
  if (epochFinished?.epoch) return { type: 'epoch', record: toRecord(epochFinished.epoch) };
  if (actorChanged) return { type: 'actor', ...actorChanged };
  if (dataDoubted) return { type: 'data', ...dataDoubted };
  if (synthesisProgress) return { type: 'synthesis', ...synthesisProgress };
  if (trainingProgress) return { type: 'training', ...trainingProgress };
  if (preparationProgress) return toPreparation(preparationProgress);
  return null;
}

/** Null for an activity of a later version. */
function toPreparation({ activity, ...progress }: PreparationProgress__Output): RunEvent | null {
  return activity === 'decoding' || activity === 'labelling'
    ? { type: 'preparation', activity, ...progress }
    : null;
}

/** When it happened, milliseconds since 1970, never later than `nowMs`: the server's clock may be ahead. */
export function timeOf({ time }: RunEvent__Output, nowMs: number): number {
  return Math.min(nowMs, Date.parse(fromTimestamp(time) ?? '') || nowMs);
}

function toRecord(epoch: Epoch__Output): EpochRecord {
  const { optimizerSteps, trainLoss, samplingAccuracy, quota, syntheticImages } = epoch;
  const { weightsVersion, shardsRedone, validation } = epoch;
  return {
    epoch: Number(epoch.name.split('/').at(-1)),
    ...{ optimizerSteps, trainLoss, syntheticImages, weightsVersion, shardsRedone },
    samplingAccuracy: samplingAccuracy.length === 0 ? null : samplingAccuracy,
    quota: quota.length === 0 ? null : quota,
    fidelity:
      epoch.fidelity === undefined
        ? null
        : {
            all: epoch.fidelity,
            tail: null,
            perClass: epoch.classFidelity.map(({ fidelity }) => fidelity ?? null),
          },
    validation: validation === null ? null : toMetrics(validation),
    synthesisSeconds: fromDuration(epoch.synthesisDuration),
    trainSeconds: fromDuration(epoch.trainDuration),
    evaluateSeconds: fromDuration(epoch.evaluateDuration),
    grid: null,
  };
}

/** A value that the API omits is not a number here, which prints as a dash. */
function toMetrics(metrics: Metrics__Output): Metrics {
  const shots = { manyShotRecall: null, mediumShotRecall: null, fewShotRecall: null };
  const confusion = metrics.confusion.map(({ predicted }) => predicted);
  const unknown = { macroPrecision: NaN, nll: NaN, tailRecall: null };
  const perClassRecall = metrics.perClassRecall.map((recall) => (Number.isNaN(recall) ? null : recall));
  return {
    ...metrics,
    ...shots,
    ...unknown,
    worstRecall: worstOf(perClassRecall),
    perClassRecall,
    confusion,
  };
}
