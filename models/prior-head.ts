/**
 * A classifier of *noised* images on the features of the frozen prior: a small head on the features of the U-Net's
 * encoder for x_t (`networkFeatures`) and the time. Trained on noised real images with the labels' and the run's
 * classifier's probabilities as targets, it estimates E[p(y | x0) | x_t], and the gradient of its logarithm at x_t is
 * the one that exact guidance by p(y | x0) requires (contrastive energy prediction, Lu et al. 2304.12824); a classifier
 * of clean images has never seen such an input.
 *
 *   features → normalised → with sin and cos of πkt, k = 1 … 8 → 128, SiLU → classes
 */
import { named } from '../tensor/named.ts';
import type { ArrayMap } from '../tensor/array.ts';
import { groupNorm, silu } from '../tensor/ops.ts';
import type { Optimizer } from '../tensor/optimizer.ts';
import type { Key } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { featureCount, networkFeatures } from './denoiser-network.ts';
import type { DenoiserNetwork } from './denoiser-network.ts';
import { crossEntropy } from './losses.ts';
import { Initializer, linearLayer, parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { advanceState } from './training-step.ts';
import type { StepResult, TrainingState } from './training-step.ts';

const HIDDEN = 128;
const FREQUENCIES = 8;

/** New parameters of a head for this network's features. */
export function initPriorHead(network: DenoiserNetwork, classes: number, key: Key): ArrayMap {
  const init = new Initializer(key);
  init.norm('norm', featureCount(network));
  init.linear('hidden', featureCount(network) + 2 * FREQUENCIES, HIDDEN);
  init.linear('out', HIDDEN, classes);
  return init.arrays;
}

/** Logits of noised images x [n, c, h, w] at time t in [0, 1], a scalar or one per image: [n, classes]. */
export function headLogits(
  network: DenoiserNetwork,
  prior: Parameters,
  head: Parameters,
  x: Tensor4D,
  t: Tensor,
): Tensor2D {
  const features = networkFeatures(network, prior, x, t);
  const [n, f] = features.shape;
  const scale = parameter<Tensor1D>(head, 'norm.weight');
  const normed = groupNorm(tf.reshape(features, [n, f, 1, 1]), scale, parameter(head, 'norm.bias'), 1);
  const time: Tensor2D = tf.tile(timeWaves(t), [t.size === n ? 1 : n, 1]);
  const flat: Tensor2D = tf.reshape(normed, [n, f]);
  const input = tf.concat<Tensor2D>([flat, time], 1);
  return linearLayer(head, 'out', silu(linearLayer(head, 'hidden', input)));
}

/** sin and cos of πkt, k = 1 … 8: [m, 16] for m times. */
function timeWaves(t: Tensor): Tensor2D {
  const factors = Array.from({ length: FREQUENCIES }, (_, k) => Math.PI * (k + 1));
  const angles = tf.mul(tf.reshape(t, [t.size, 1]), tf.tensor2d(factors, [1, FREQUENCIES]));
  return tf.concat([tf.sin(angles) as Tensor2D, tf.cos(angles) as Tensor2D], 1);
}

export interface HeadInputs<Leaf = Tensor> {
  readonly state: TrainingState<Leaf>;
  /** The prior's parameters, which stay fixed. */
  readonly prior: Readonly<Record<string, Leaf>>;
  /** Noised images [n, c, h, w], their times [n] and target probabilities [n, classes]. */
  readonly images: Leaf;
  readonly t: Leaf;
  readonly targets: Leaf;
  readonly scalars: Readonly<Record<string, Leaf>>;
}

/** One step of the head (`crossEntropy`). */
export const priorHeadStep = named(
  'priorHeadStep',
  (network: DenoiserNetwork, options: { readonly optimizer: Optimizer; readonly clipNorm: number }) =>
    ({ state, prior, images, t, targets, scalars }: HeadInputs): StepResult =>
      advanceState(state, scalars, options, (head) =>
        crossEntropy(headLogits(network, prior, head, images as Tensor4D, t), targets as Tensor2D),
      ),
);
