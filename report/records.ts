/**
 * The plain JSON records that a run folder holds, written by the coordinator and read by reports, the terminal view
 * and people's own scripts. Rates lie in [0, 1]; durations are seconds; classes are indices into `classes`.
 */

/** Quality of a classifier on one split (definitions: models/metrics.ts). */
export interface Metrics {
  readonly count: number;
  readonly accuracy: number;
  /** Mean of the per-class recalls. */
  readonly balancedAccuracy: number;
  /** Mean recall of the tail: classes with fewer than `data.tailBelow` train images; null if there are none. */
  readonly tailRecall: number | null;
  /** The lowest recall of a class that has images. */
  readonly worstRecall: number;
  /** Mean of −ln p(label), natural logarithm. */
  readonly nll: number;
  readonly macroPrecision: number;
  readonly macroF1: number;
  readonly mcc: number;
  /** Macro one-vs-rest area under the ROC curve. */
  readonly aucOvr: number;
  /** Expected calibration error, 15 equal-width bins. */
  readonly ece: number;
  /** The same, and NLL, after temperature scaling fitted on validation images; absent if there are none. */
  readonly eceScaled?: number;
  readonly nllScaled?: number;
  /** That temperature. */
  readonly temperature?: number;
  /** Share of each class's images found while 90% of the others are not taken for it; null where it cannot be known. */
  readonly sensitivityAt90?: readonly (number | null)[];
  /** For ordered classes: Cohen's kappa with quadratic weights, in [−1, 1]. */
  readonly quadraticKappa?: number;
  /** Null for a class without images (0 in records of earlier versions). */
  readonly perClassRecall: readonly (number | null)[];
  /** Mean recall of classes by training size: many (> 100 images … see `shots`), medium, few; null where none. */
  readonly manyShotRecall: number | null;
  readonly mediumShotRecall: number | null;
  readonly fewShotRecall: number | null;
  /** confusion[true][predicted], counts; empty for more than 100 classes, which have `confusionCells`. */
  readonly confusion: readonly (readonly number[])[];
  /** Counts above 0 as [true, predicted, count]: the 60,000 most frequent pairs. */
  readonly confusionCells?: readonly (readonly [number, number, number])[];
}

/** Share of synthetic images that the independent judge gives the intended class. */
export interface Fidelity {
  readonly all: number;
  /** Over the tail classes (fewer than 200 training images); null if there are none. */
  readonly tail: number | null;
  /** Null for a class that got no images. */
  readonly perClass: readonly (number | null)[];
}

/** One line of metrics.jsonl. */
export interface EpochRecord {
  /** From 1. */
  readonly epoch: number;
  readonly optimizerSteps: number;
  readonly trainLoss: number;
  /** Input of adaptive sampling: per-class accuracy on training images under evaluation transforms; null before it is measured. */
  readonly samplingAccuracy: readonly number[] | null;
  /** Images asked for per class, made or, with replay, drawn again; null for methods with neither. */
  readonly quota: readonly number[] | null;
  readonly syntheticImages: number;
  readonly fidelity: Fidelity | null;
  /**
   * How well a small classifier tells the epoch's synthetic images of each class from real ones, 0.5 being a guess
   * (models/telling-apart.ts); null for a class with too few images. Absent where the epoch made none.
   */
  readonly toldApart?: readonly (number | null)[];
  readonly weightsVersion: number;
  readonly validation: Metrics | null;
  readonly synthesisSeconds: number;
  readonly trainSeconds: number;
  readonly evaluateSeconds: number;
  /** Shards that had to be made again because a worker died. */
  readonly shardsRedone: number;
  /** Path inside the run folder, or null. */
  readonly grid: string | null;
}

/** report.json of one run. */
export interface RunReport {
  readonly method: string;
  readonly seed: number;
  readonly classes: readonly string[];
  readonly classCounts: readonly number[];
  readonly optimizerSteps: number;
  /** Steps of the independent labeller, in addition to the run's own; absent if there is none. */
  readonly labellerSteps?: number;
  readonly workers: number;
  readonly syntheticImages: number;
  readonly seconds: number;
  readonly weightsDigest: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly epochs: readonly EpochRecord[];
  readonly validation: Metrics | null;
  readonly test: Metrics | null;
  /** On the images held out to choose by; absent unless the run is scored on them. */
  readonly development?: Metrics;
  /** Unreadable images that were left out, as `file: reason`; absent when there are none. */
  readonly skippedImages?: readonly string[];
  /** Warnings about the data, one line each; absent when there are none. */
  readonly dataWarnings?: readonly string[];
  /** Warnings about the synthetic images, one line each; absent when there are none. */
  readonly imageWarnings?: readonly string[];
  /** Why report.html or a picture is missing; absent when all were drawn. */
  readonly drawingWarning?: string;
}

/**
 * Share of distinguished images from which a warning is given: guidance stamps, or the prior draws, structure that real
 * images lack.
 */
export const TOLD_APART = 0.9;

/** Classes whose synthetic images of an epoch are too easily distinguished from real ones. */
export function classesToldApart({ toldApart }: EpochRecord): number[] {
  return [...(toldApart ?? []).keys()].filter((label) => (toldApart![label] ?? 0) > TOLD_APART);
}

/** Progress of work that precedes training: images being decoded, or a labeller's optimiser steps. */
export interface Preparation {
  readonly activity: 'decoding' | 'labelling';
  readonly done: number;
  readonly total: number;
  /** Since it began. */
  readonly seconds: number;
}

/** Progress of a run, for live views. */
export type RunEvent =
  /** May come before everything else, and before the first step of an epoch. */
  | ({ readonly type: 'preparation' } & Preparation)
  /** Comes before `started`, and only when there is something to tell. */
  | { readonly type: 'data'; readonly skipped: readonly string[]; readonly warnings: readonly string[] }
  | {
      readonly type: 'started';
      readonly method: string;
      readonly seed: number;
      readonly classes: readonly string[];
      readonly classCounts: readonly number[];
      readonly epochs: number;
      readonly firstEpoch: number;
      /** Empty where the folder is elsewhere. */
      readonly runDir: string;
    }
  | {
      readonly type: 'quota';
      readonly epoch: number;
      readonly accuracy: readonly number[];
      readonly quota: readonly number[];
    }
  | {
      readonly type: 'synthesis';
      readonly epoch: number;
      readonly done: number;
      readonly total: number;
      readonly imagesPerSecond: number;
    }
  | {
      readonly type: 'training';
      readonly epoch: number;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
    }
  | { readonly type: 'epoch'; readonly record: EpochRecord }
  | { readonly type: 'actor'; readonly actor: string; readonly state: string; readonly reason: string }
  | { readonly type: 'finished'; readonly report: RunReport }
  | { readonly type: 'cancelled'; readonly epoch: number };
