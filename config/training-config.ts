/** Training of the classifier. Every method takes the same number of steps; see `optimizerSteps`. */
import { z } from 'zod';

/** The independent labeller (services/classifier-trainer/labeller.ts); trained only if `labels` needs it. */
const labellerSchema = z.strictObject({
  /** Number of classifiers whose probabilities are averaged. */
  members: z.int().min(1).max(64).default(1),
  /** Optimiser steps of each; reported separately from the run's own. */
  steps: z.int().min(1).max(1_000_000).default(1000),
});

const labelsSchema = z.strictObject({
  /** Labels of synthetic images in training: their intended class, or the labeller's probabilities. */
  synthetic: z.enum(['intended', 'soft']).default('intended'),
  /** Real images: their class, or the labeller's probabilities for each augmented image (self-distillation). */
  real: z.enum(['given', 'soft']).default('given'),
  /**
   * Images of data.archive as further real ones, under pseudo-labels: the labeller's probabilities, or, `confident`,
   * the most likely class of those images for which it reaches `threshold`.
   */
  archive: z.enum(['none', 'soft', 'confident']).default('none'),
  threshold: z.number().gt(0).max(1).default(0.95),
});

const mixingSchema = z.strictObject({
  /** `mixup`: λ ~ Beta(α, α), partner of the same batch. `balanced`: λ ~ Beta(α, 1), class-balanced partner. */
  kind: z.enum(['mixup', 'balanced']),
  alpha: z.number().gt(0).max(10).default(0.2),
});

/** RandAugment (Cubuk et al. 1909.13719), data/rand-augment.ts. */
const randAugmentSchema = z.strictObject({
  /** N, operations per image, drawn from torchvision's fourteen. */
  operations: z.int().min(1).max(14).default(2),
  /** M, on torchvision's scale. */
  magnitude: z.int().min(0).max(30).default(9),
});

export const trainingConfigSchema = z.strictObject({
  /** Rounds of synthesis, training and evaluation; without `steps`, each is a pass over real and synthetic images. */
  epochs: z.int().min(1).max(100_000).default(12),
  /** S, optimiser steps of the whole run, spread evenly over its epochs; null: as many as whole passes take. */
  steps: z.int().min(1).max(1_000_000_000).nullable().default(null),
  /** Images per optimiser step. */
  batchSize: z.int().min(1).max(65_536).default(64),
  /** `adamw` (Loshchilov and Hutter), or `sgd` with momentum. */
  optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
  /** Its peak; `schedule` defines its decay. */
  learningRate: z.number().gt(0).default(2e-3),
  /** Momentum of `sgd`; `adamw` uses 0.9 and 0.999. */
  momentum: z.number().min(0).lt(1).default(0.9),
  /** λ; applies to weights, not to biases and normalisation. */
  weightDecay: z.number().min(0).default(5e-4),
  /** `cosine` decays to zero; `step` divides by 10 at 30%, 60% and 90% of the steps (the paper's 60, 120, 180 of 200). */
  schedule: z.enum(['cosine', 'step', 'constant']).default('cosine'),
  /** Steps over which the learning rate rises from zero. */
  warmupSteps: z.int().min(0).default(0),
  /** Largest norm of the whole gradient; null does not clip. */
  clipNorm: z.number().gt(0).nullable().default(1),
  /**
   * `flip-shift`: mirrored one time in two, moved by up to a tenth. `resized-crop`: a part of the image, enlarged to
   * its size, mirrored one time in two (torchvision's RandomResizedCrop and RandomHorizontalFlip). `randaugment`:
   * `flip-shift`, then `randAugment`.
   */
  augmentation: z.enum(['flip-shift', 'resized-crop', 'randaugment', 'none']).default('flip-shift'),
  /** For `resized-crop`: the least and the largest share of the image's area. */
  cropScale: z
    .tuple([z.number().gt(0).max(1), z.number().gt(0).max(1)])
    .refine(([low, high]) => low <= high, 'its first number must not be above its second')
    .default([0.08, 1]),
  /** For all but `none`: also flips the image vertically one time in two, for images without an up direction. */
  verticalFlip: z.boolean().default(false),
  /**
   * For all but `none`: multiplies brightness, contrast and saturation each by 1 ± up to this (torchvision's
   * ColorJitter).
   */
  colorJitter: z.number().min(0).max(1).default(0),
  /** For `randaugment`. */
  randAugment: randAugmentSchema.prefault({}),
  /**
   * Largest share of a class's places for its synthetic images, if classes are drawn (`oversample`, `oversample-sqrt`):
   * up to it, real and synthetic images are drawn equally often. Null: no bound.
   */
  syntheticShare: z.number().min(0).max(1).nullable().default(null),
  /** Last share of the epochs that trains only on real images, rounded to whole epochs. */
  finish: z.number().min(0).max(0.9).default(0),
  /** Weight of a synthetic image's loss; a real image has 1. */
  syntheticLossWeight: z.number().min(0).max(100).default(1),
  /**
   * `focal`: (1 − p)^γ·CE (Lin et al. 1708.02002). `ldam`: a margin ∝ n_c^{−1/4} for each class, on a head of cosines
   * (Cao et al. 1906.07413).
   */
  loss: z.enum(['cross-entropy', 'focal', 'ldam']).default('cross-entropy'),
  /** γ of `focal`. */
  focalGamma: z.number().min(0).max(20).default(2),
  /** The largest margin of `ldam`, a cosine. */
  ldamMargin: z.number().gt(0).max(1).default(0.5),
  /** Factor of the cosines in `ldam`. */
  ldamScale: z.number().gt(0).max(1000).default(30),
  /**
   * Weights of classes in the loss, mean 1: `inverse`: ∝ 1/n_c; `effective-number`: ∝ (1−β)/(1−β^{n_c}) (Cui et al.
   * 1901.05555).
   */
  classWeights: z.enum(['none', 'inverse', 'effective-number']).default('none'),
  /** β of `effective-number`. */
  effectiveNumberBeta: z.number().min(0).lt(1).default(0.9999),
  /**
   * Last share of the epochs in which class weights, logit adjustment and drawing by class take effect (deferred
   * re-weighting and re-sampling, Cao et al. 1906.07413); null: throughout.
   */
  deferred: z.number().gt(0).lt(1).nullable().default(null),
  /**
   * Last share of the epochs, at least one, in which a newly drawn head trains alone on the frozen features, with
   * classes drawn evenly and its own learning-rate schedule (classifier re-training, Kang et al. 1910.09217); null: the
   * whole network trains throughout.
   */
  headRetraining: z.number().gt(0).lt(1).nullable().default(null),
  /** τ of post-hoc logit adjustment, z − τ log π, of the finished weights (Menon et al. 2007.07314); 0 is off. */
  postHocAdjustment: z.number().min(0).max(10).default(0),
  /** Mixes pairs of images and their labels; null does not. */
  mixing: mixingSchema.nullable().default(null),
  labels: labelsSchema.prefault({}),
  labeller: labellerSchema.prefault({}),
});

export type TrainingConfig = z.output<typeof trainingConfigSchema>;

/**
 * Optimiser steps of a run, the same for every method: `steps`, or epochs · ⌈(real + budget) / batchSize⌉. The budget
 * also counts if no images are made.
 */
export function optimizerSteps(training: TrainingConfig, realImages: number, budget: number): number {
  return training.steps ?? training.epochs * Math.ceil((realImages + budget) / training.batchSize);
}

/** The number of `total` optimiser steps done when `epoch` of `epochs` ends: ⌊total · epoch / epochs⌋. */
export function stepsBy(epoch: number, epochs: number, total: number): number {
  return Math.floor((total * epoch) / epochs);
}

/** Whether an epoch, from 1, is one of the last, in which deferred measures take effect. */
export function actsIn(
  epoch: number,
  { epochs, deferred }: Pick<TrainingConfig, 'epochs' | 'deferred'>,
): boolean {
  return deferred === null || epoch > epochs - Math.max(1, Math.round(deferred * epochs));
}

/** Number of last epochs that train the head alone; at least one epoch remains for the whole network. */
export function headEpochs({
  epochs,
  headRetraining,
}: Pick<TrainingConfig, 'epochs' | 'headRetraining'>): number {
  if (headRetraining === null) return 0;
  return Math.min(epochs - 1, Math.max(1, Math.round(headRetraining * epochs)));
}

/** Whether an epoch, from 1, trains the head alone. */
export function retrainsHead(
  epoch: number,
  training: Pick<TrainingConfig, 'epochs' | 'headRetraining'>,
): boolean {
  return epoch > training.epochs - headEpochs(training);
}

/** Whether a run trains a labeller. */
export function needsLabeller({ labels }: Pick<TrainingConfig, 'labels'>): boolean {
  return labels.synthetic === 'soft' || labels.real === 'soft' || labels.archive !== 'none';
}

/** Optimiser steps of the labeller; 0 if a run has none. */
export function labellerSteps(training: Pick<TrainingConfig, 'labels' | 'labeller'>): number {
  return needsLabeller(training) ? training.labeller.members * training.labeller.steps : 0;
}

/** Epochs that may train on synthetic images: all but the finish. */
export function syntheticEpochs({ epochs, finish }: TrainingConfig): number {
  return epochs - Math.round(finish * epochs);
}
