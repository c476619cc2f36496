/**
 * Training losses as plain tfjs functions, each a scalar: the mean over the batch's real rows. A padded batch
 * gives the same loss and gradients as the same rows without padding.
 */
import tf from '../tensor/tf.ts';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { targetOf } from './denoiser.ts';
import type { Level, Prediction } from './denoiser.ts';

export interface ExampleWeights {
  /** [n]: 1 for a real row, 0 for padding. All real when absent. */
  readonly mask?: Tensor1D;
  /** [n]: each row's weight, not part of the divisor, so that λ = 0.5 on synthetic rows halves their pull. */
  readonly weights?: Tensor1D;
  /** What the sum is divided by, where the rows are part of a larger batch: its `rowCount`. */
  readonly divisor?: Scalar;
}

/** How many rows are real, 1 at least. */
export function rowCount(mask: Tensor1D): Scalar {
  return tf.maximum(tf.sum(mask), 1);
}

/** Σ mask·weight·value / Σ mask for values [n]; 0 where every row is padding. */
export function weightedMean(
  values: Tensor1D,
  { mask = tf.onesLike(values), weights, divisor = rowCount(mask) }: ExampleWeights = {},
): Scalar {
  const weighted = weights === undefined ? values : tf.mul(values, weights);
  return tf.div(tf.sum(tf.mul(weighted, mask)), divisor);
}

/**
 * Cross-entropy of logits [n, k] with labels [n, k] (one-hot, or any distribution). `adjustment` [k] or [1, k] is added
 * to the logits first: τ·log π with π the class frequencies is logit adjustment (Menon et al. 2007.07314), at τ = 1
 * balanced softmax (Ren et al. 2007.10740).
 */
export function crossEntropy(
  logits: Tensor2D,
  labelsOneHot: Tensor2D,
  options: ExampleWeights & { readonly adjustment?: Tensor } = {},
): Scalar {
  const adjusted = options.adjustment === undefined ? logits : tf.add(logits, options.adjustment);
  const perImage: Tensor1D = tf.neg(tf.sum(tf.mul(labelsOneHot, tf.logSoftmax(adjusted)), -1));
  return weightedMean(perImage, options);
}

/** τ·log π for class counts, in float64. A class without images counts as half an image, to stay finite. */
export function logitAdjustment(classCounts: readonly number[], tau: number): number[] {
  const counts = classCounts.map((count) => Math.max(count, 0.5));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => tau * Math.log(count / total));
}

/**
 * Denoising loss: squared error of the network's `output` against its target, mean over an image's values, times the
 * image's `lossWeights` ([n]; `minSnrWeight` of its level). x0 and noise [n, c, h, w]; one level for all or per image.
 */
export function diffusionLoss(
  prediction: Prediction,
  output: Tensor4D,
  x0: Tensor4D,
  noise: Tensor4D,
  level: Level,
  options: ExampleWeights = {},
): Scalar {
  const error = tf.sub(output, targetOf(prediction, x0, noise, level));
  return weightedMean(tf.mean(tf.square(error), [1, 2, 3]), options);
}
