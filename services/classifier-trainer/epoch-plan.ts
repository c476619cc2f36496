/** An epoch of training from a run's configuration: its examples in their order, and the maker of batches. */
import type { MethodAxes } from '../../config/method.ts';
import { actsIn, retrainsHead } from '../../config/training-config.ts';
import type { TrainingConfig } from '../../config/training-config.ts';
import type { Augmentation } from '../../data/augment.ts';
import type { Dataset } from '../../data/dataset.ts';
import { effectiveNumberWeights, inverseFrequencyWeights } from '../../models/class-weights.ts';
import { logitAdjustment } from '../../models/losses.ts';
import { foldIn } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { BatchMaker } from './batch.ts';
import type { LabelImages } from './batch.ts';
import { epochOrder } from './epoch-order.ts';
import { joinLabels } from './examples.ts';
import type { Examples } from './examples.ts';

/** The epoch's images in addition to the real ones. */
export interface EpochExtras {
  /** Pseudo-labelled images that count as real ones. */
  readonly archive?: Examples;
  /** Relabels real images after augmentation. */
  readonly relabel?: LabelImages;
  /** Number of real images of each class drawn again. */
  readonly replay?: readonly number[];
}

export interface EpochInput {
  readonly training: TrainingConfig;
  readonly axes: MethodAxes;
  readonly noiseAware: boolean;
  readonly dataset: Dataset;
  /** Training images of each class. */
  readonly counts: readonly number[];
  /** From 1. */
  readonly epoch: number;
  /** Examples of the epoch. */
  readonly places: number;
  readonly synthetic: Examples;
  readonly extras: EpochExtras;
  /** Key of the classifier's training. */
  readonly key: Key;
}

export interface EpochPlan {
  /** Example of each place, numbered as `maker` knows them. */
  readonly order: Int32Array;
  readonly maker: BatchMaker;
}

export function planEpoch(input: EpochInput): EpochPlan {
  const { training, axes, dataset, epoch, places, synthetic, key } = input;
  const { archive, replay = [] } = input.extras;
  const { labels } = dataset.train;
  const drawing = {
    realLabels: archive ? joinLabels([labels, archive.labels]) : labels,
    syntheticLabels: synthetic.labels,
    classes: dataset.classes.length,
    epochs: training.epochs,
    syntheticShare: training.syntheticShare,
    places,
    epoch,
  };
  const balanced = { ...drawing, sampling: 'class-balanced', replay: [] } as const;
  const partners =
    training.mixing?.kind === 'balanced' ? epochOrder({ ...balanced, key: foldIn(key, 'partners') }) : null;
  const order = retrainsHead(epoch, training)
    ? epochOrder({ ...balanced, key })
    : epochOrder({
        ...drawing,
        sampling: actsIn(epoch, training) ? axes.sampling : 'natural',
        replay,
        key,
      });
  return { order, maker: makerOf(input, partners) };
}

function makerOf(
  { training, axes, noiseAware, dataset, counts, epoch, synthetic, extras, key }: EpochInput,
  partners: Int32Array | null,
): BatchMaker {
  const { archive, relabel } = extras;
  const { images, labels } = dataset.train;
  const acts = actsIn(epoch, training);
  return new BatchMaker({
    parts: [
      { images, labels, soft: null, weight: 1 },
      ...(archive ? [{ ...archive, weight: 1 }] : []),
      { ...synthetic, weight: training.syntheticLossWeight },
    ],
    shape: { height: dataset.height, width: dataset.width, channels: dataset.channels },
    classes: dataset.classes.length,
    batchSize: training.batchSize,
    augmentation: augmentationOf(training),
    noiseAware,
    adjustment: logitAdjustment(counts, acts ? axes.logitAdjustment : 0),
    classWeights: classWeights(acts ? training.classWeights : 'none', counts, training),
    mixing: training.mixing,
    partners,
    relabel: relabel ? { count: labels.length, label: relabel } : null,
    key: foldIn(key, 'augment', epoch),
  });
}

function classWeights(
  rule: TrainingConfig['classWeights'],
  counts: readonly number[],
  { effectiveNumberBeta }: TrainingConfig,
): number[] {
  if (rule === 'inverse') return inverseFrequencyWeights(counts);
  if (rule === 'effective-number') return effectiveNumberWeights(counts, effectiveNumberBeta);
  return counts.map(() => 1);
}

function augmentationOf(training: TrainingConfig): Augmentation | null {
  const { augmentation, cropScale, verticalFlip, colorJitter, randAugment } = training;
  if (augmentation === 'none') return null;
  return {
    crop: augmentation === 'resized-crop' ? cropScale : null,
    verticalFlip,
    colorJitter,
    randAugment: augmentation === 'randaugment' ? randAugment : null,
  };
}
