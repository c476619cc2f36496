/** How the classifier is trained. Every method takes the same number of steps; see `optimizerSteps`. */
import { z } from 'zod';

export const trainingConfigSchema = z.strictObject({
  /** Rounds of synthesis, training and evaluation; without `steps`, each is a pass over real and synthetic images. */
  epochs: z.int().min(1).max(100_000).default(12),
  /** S, optimiser steps of the whole run, spread evenly over its epochs; null: as many as whole passes take. */
  steps: z.int().min(1).max(1_000_000_000).nullable().default(null),
  /** Images of one optimiser step. */
  batchSize: z.int().min(1).max(65_536).default(64),
  /** `adamw` (Loshchilov and Hutter), or `sgd` with momentum. */
  optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
  /** Its peak; `schedule` says how it falls. */
  learningRate: z.number().gt(0).default(2e-3),
  /** Of `sgd`; `adamw` uses 0.9 and 0.999. */
  momentum: z.number().min(0).lt(1).default(0.9),
  /** λ; applies to weights, not to biases and normalisation. */
  weightDecay: z.number().min(0).default(5e-4),
  /** `cosine` decays to zero; `step` divides by 10 at 30%, 60% and 90% of the steps (the paper's 60, 120, 180 of 200). */
  schedule: z.enum(['cosine', 'step', 'constant']).default('cosine'),
  /** Steps over which the learning rate rises from zero. */
  warmupSteps: z.int().min(0).default(0),
  /** Largest norm of the whole gradient; null does not clip. */
  clipNorm: z.number().gt(0).nullable().default(1),
  /** `flip-shift`: mirrored one time in two, moved by up to a tenth. */
  augmentation: z.enum(['flip-shift', 'none']).default('flip-shift'),
  /**
   * Share of the places of a class that go to its synthetic images, where it has any and classes are drawn
   * (`oversample`, `oversample-sqrt`); null draws real and synthetic images alike.
   */
  syntheticShare: z.number().min(0).max(1).nullable().default(null),
  /** Last share of the epochs that trains on real images alone, rounded to whole epochs. */
  finish: z.number().min(0).max(0.9).default(0),
  /** Weight of a synthetic image's loss; a real image has 1. */
  syntheticLossWeight: z.number().min(0).max(100).default(1),
});

export type TrainingConfig = z.output<typeof trainingConfigSchema>;

/**
 * Optimiser steps of a run, the same for every method: `steps`, or epochs · ⌈(real + budget) / batchSize⌉. The budget
 * counts also where no images are made.
 */
export function optimizerSteps(training: TrainingConfig, realImages: number, budget: number): number {
  return training.steps ?? training.epochs * Math.ceil((realImages + budget) / training.batchSize);
}

/** Of `total` optimiser steps, those that are done when `epoch` of `epochs` ends: ⌊total · epoch / epochs⌋. */
export function stepsBy(epoch: number, epochs: number, total: number): number {
  return Math.floor((total * epoch) / epochs);
}

/** Epochs that may train on synthetic images: all but the finish. */
export function syntheticEpochs({ epochs, finish }: TrainingConfig): number {
  return epochs - Math.round(finish * epochs);
}
