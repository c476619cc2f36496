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
  /** The divisor of the sum, if the rows are part of a larger batch: its `rowCount`. */
  readonly divisor?: Scalar;
}

/** The number of real rows, at least 1. */
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

/** How a classifier's logits are compared with labels. */
export type ClassifierLoss =
  | { readonly kind: 'cross-entropy' }
  /** (1 − p)^γ·CE (Lin et al. 1708.02002). */
  | { readonly kind: 'focal'; readonly gamma: number }
  /** CE with each class's logit lowered by its margin where it is the label (LDAM, Cao et al. 1906.07413). */
  | { readonly kind: 'margin'; readonly margins: readonly number[] };

/**
 * Focal loss of logits [n, k] with labels [n, k]: −Σ_c q_c (1 − p_c)^γ log p_c. With γ = 0 it is cross-entropy.
 * `adjustment` as in `crossEntropy`.
 */
export function focalLoss(
  logits: Tensor2D,
  labels: Tensor2D,
  gamma: number,
  options: ExampleWeights & { readonly adjustment?: Tensor } = {},
): Scalar {
  const adjusted = options.adjustment === undefined ? logits : tf.add(logits, options.adjustment);
  const logP = tf.logSoftmax(adjusted) as Tensor2D;
  // The distance from 1 is kept above 0, because a power below 1 has no slope there.
  const far = tf.maximum(tf.sub(1, tf.exp(logP)), 1e-6);
  const factor = gamma === 1 ? far : gamma === 2 ? tf.mul(far, far) : tf.exp(tf.mul(gamma, tf.log(far)));
  const perImage: Tensor1D = tf.neg(tf.sum(tf.mul(labels, tf.mul(factor, logP)), -1));
  return weightedMean(perImage, options);
}

/** `crossEntropy` of logits whose entry c is lowered by margins_c · label_c: Σ q log softmax(z − m ⊙ q). */
export function marginLoss(
  logits: Tensor2D,
  labels: Tensor2D,
  margins: readonly number[],
  options: ExampleWeights & { readonly adjustment?: Tensor } = {},
): Scalar {
  const lowered: Tensor2D = tf.sub(logits, tf.mul(labels, tf.tensor2d([...margins], [1, margins.length])));
  return crossEntropy(lowered, labels, options);
}

/** LDAM's margins, Δ_c = most · (n_c / n_smallest)^{−1/4}: the smallest class has the largest. */
export function ldamMargins(classCounts: readonly number[], most: number): number[] {
  const counts = classCounts.map((count) => Math.max(count, 1));
  const smallest = Math.min(...counts);
  return counts.map((count) => most * (count / smallest) ** -0.25);
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
