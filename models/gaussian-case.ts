/**
 * For tests: a case with a closed-form denoiser and classifier, x0 ~ N(mean, diag(variance)) and linear class scores
 * W·x + b, sampled with the tensors' code.
 */
import tf from '../tensor/tf.ts';
import type { Tensor2D, Tensor4D } from '../tensor/tf.ts';
import type { Denoiser } from './denoiser.ts';
import { guide } from './guidance.ts';
import type { GuidanceConfig } from './guidance.ts';
import { advance } from './guided-step.ts';
import { samplerSteps } from './sampler.ts';
import type { SamplerName } from './sampler.ts';
import type { NoiseLevel } from './schedule.ts';

/** Data ~ N(mean, diag(variance)); class scores W·x + b. */
export interface GaussianCase {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
  readonly W: readonly (readonly number[])[];
  readonly b: readonly number[];
  readonly labels: readonly number[];
  /** The images one after the other. */
  readonly x: readonly number[];
  readonly shape: readonly [number, number, number, number];
}

/** Runs a whole sampler with tensors; `weight` is w of each step. Returns x after every step. */
export function sample(
  { mean, variance, W, b, labels, x: start, shape }: GaussianCase,
  config: GuidanceConfig,
  sampler: SamplerName,
  levels: NoiseLevel[],
  weight: (t: number) => number,
): number[][] {
  const row = (values: readonly number[]) => tf.tensor(values, [1, ...shape.slice(1)]);
  const exact: Denoiser = (x, { a, s }) => {
    const gain = tf.div(tf.mul(a, row(variance)), tf.add(tf.mul(tf.square(a), row(variance)), tf.square(s)));
    return tf.add(row(mean), tf.mul(gain, tf.sub(x, tf.mul(a, row(mean)))));
  };
  const logitsOf = (x: Tensor4D): Tensor2D =>
    tf.add(
      tf.matMul(tf.reshape(x, [shape[0], -1]), tf.tensor2d(W as number[][]), false, true),
      tf.tensor1d([...b]),
    );
  const labelsOneHot = tf.oneHot([...labels], b.length).toFloat() as Tensor2D;
  let x = tf.tensor4d([...start], [...shape]);
  let previousX0 = tf.zerosLike(x);
  return samplerSteps(sampler, levels).map((step) => {
    const guided = guide(exact, logitsOf, { ...config, labelsOneHot, weight: tf.scalar(weight(step.t)) });
    const [t, a, s] = [tf.scalar(step.t), tf.scalar(step.a), tf.scalar(step.s)];
    const [cX, cD, cP] = [tf.scalar(step.cX), tf.scalar(step.cD), tf.scalar(step.cP)];
    ({ x, x0: previousX0 } = advance(guided, { x, previousX0, t, a, s, cX, cD, cP }));
    return Array.from(x.dataSync());
  });
}
