/**
 * Batch normalisation (Ioffe and Szegedy 1502.03167) as in PyTorch: ε = 1e-5, running statistics with momentum 0.1 and
 * the unbiased variance. A layer has `weight` γ, `bias` β, `running_mean` and `running_var`, [c] each.
 *
 *   running statistics   y = γ·(x − m)/√(v + ε) + β, linear in x: folded into the convolution before it
 *   batch statistics     y = γ·(x − μ)·r + β with μ, σ² over the batch's real rows, r = 1/√(σ² + ε);
 *                        m ← 0.9·m + 0.1·μ, v ← 0.9·v + 0.1·σ²·N/(N − 1)
 *
 * Padding rows are excluded from μ and σ²: a padded batch gives the same results as the same rows without padding.
 */
import { conv2d } from '../tensor/ops.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor1D, Tensor4D } from '../tensor/tf.ts';
import { parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';

const EPSILON = 1e-5;
const MOMENTUM = 0.1;

/** A pass over a batch that is normalised by its own statistics. */
export interface BatchStatistics {
  /** 1 for a real row, 0 for padding: [n]. */
  readonly mask: Tensor1D;
  /** Whether a layer uses the batch's statistics; the others use their running ones. */
  isMeasured(layer: string): boolean;
  /** Called once per layer with its new running statistics. */
  update(statistics: Readonly<Record<string, Tensor>>): void;
}

/** Names of a layer's running statistics, which no gradient changes. */
export function isRunningStatistic(name: string): boolean {
  return name.endsWith('.running_mean') || name.endsWith('.running_var');
}

/** Convolution `convolution` without bias, then batch normalisation `norm`: [n, c, h, w] → [n, o, h', w']. */
export function normalizedConv(
  params: Parameters,
  { convolution, norm }: { readonly convolution: string; readonly norm: string },
  x: Tensor4D,
  { stride = 1, batch }: { readonly stride?: number; readonly batch?: BatchStatistics | undefined } = {},
): Tensor4D {
  const kernel = parameter<Tensor4D>(params, `${convolution}.weight`);
  if (batch?.isMeasured(norm) === true)
    return withBatchStatistics(params, norm, conv2d(x, kernel, { stride }), batch);
  const of = (name: string) => parameter<Tensor1D>(params, `${norm}.${name}`);
  const scale = tf.mul(of('weight'), tf.rsqrt(tf.add(of('running_var'), EPSILON)));
  const shift = tf.sub(of('bias'), tf.mul(of('running_mean'), scale));
  const folded: Tensor4D = tf.mul(kernel, tf.reshape(scale, [-1, 1, 1, 1]));
  return tf.add(conv2d(x, folded, { stride }), tf.reshape(shift, [1, -1, 1, 1]));
}

function withBatchStatistics(
  params: Parameters,
  norm: string,
  x: Tensor4D,
  batch: BatchStatistics,
): Tensor4D {
  const of = (name: string) => parameter<Tensor1D>(params, `${norm}.${name}`);
  const { y, mean, variance, count } = normalize(x, of('weight'), of('bias'), batch.mask);
  const unbiased = tf.mul(variance, tf.div(count, tf.maximum(tf.sub(count, 1), 1)));
  const blend = (name: string, seen: Tensor) =>
    tf.add(tf.mul(of(name), 1 - MOMENTUM), tf.mul(tf.reshape(seen, [-1]), MOMENTUM));
  batch.update({
    [`${norm}.running_mean`]: blend('running_mean', mean),
    [`${norm}.running_var`]: blend('running_var', unbiased),
  });
  return y;
}

interface Normalized {
  readonly y: Tensor4D;
  /** [1, c, 1, 1]. */
  readonly mean: Tensor;
  readonly variance: Tensor;
  /** Number of measured values per channel, a scalar. */
  readonly count: Tensor;
}

/**
 * y, with a gradient derived by hand: with d = x − μ, P = Σ dy and Q = Σ dy·d over all rows and pixels,
 *
 *   dβ = P,  dγ = Q·r,  dx = γ·r·(dy − mask·(P + d·r²·Q)/N)
 */
function normalize(x: Tensor4D, scale: Tensor1D, bias: Tensor1D, mask: Tensor1D): Normalized {
  const [n, c, height, width] = x.shape;
  const rows = tf.reshape(mask, [n, 1, 1, 1]);
  const perChannel = (values: Tensor) => tf.reshape(values, [1, c, 1, 1]);
  const overRows = (values: Tensor) => tf.sum(values, 0, true); // of sums over each image, [n, c, 1, 1]
  const overImage = (values: Tensor) => tf.sum(values, [2, 3], true);
  const count = tf.mul(tf.maximum(tf.sum(mask), 1), height * width);
  const found: { mean?: Tensor; variance?: Tensor } = {};
  const run = tf.customGrad((...inputs: unknown[]) => {
    const [image, gamma, beta, save] = inputs as [Tensor4D, Tensor, Tensor, (tensors: Tensor[]) => void];
    const mean = tf.div(overRows(tf.mul(overImage(image), rows)), count);
    const d = tf.sub(image, mean);
    const variance = tf.div(overRows(tf.mul(overImage(tf.square(d)), rows)), count);
    const r = tf.rsqrt(tf.add(variance, EPSILON));
    found.mean = tf.keep(mean); // outlives this function's scope
    found.variance = tf.keep(variance);
    save([d, r, gamma]);
    return {
      value: tf.add(tf.mul(d, tf.mul(perChannel(gamma), r)), perChannel(beta)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [difference, inverse, own] = saved as [Tensor, Tensor, Tensor];
        const p = overRows(overImage(dy));
        const q = overRows(overImage(tf.mul(dy, difference)));
        const factor = tf.mul(perChannel(own), inverse);
        const shared = tf.div(tf.mul(rows, factor), tf.neg(count)); // [n, c, 1, 1]
        const slope = tf.mul(shared, tf.mul(tf.square(inverse), q));
        const offset = tf.mul(shared, p);
        return [
          tf.add(tf.mul(dy, factor), tf.add(tf.mul(difference, slope), offset)),
          tf.reshape(tf.mul(q, inverse), [c]),
          tf.reshape(p, [c]),
        ];
      },
    };
  });
  const y = run(x, scale, bias) as Tensor4D;
  return { y, count, mean: owned(found.mean!), variance: owned(found.variance!) };
}

/** Moves a kept tensor into the running scope. */
export function owned(kept: Tensor): Tensor {
  const own = tf.clone(kept);
  kept.dispose();
  return own;
}
