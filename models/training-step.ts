/**
 * One optimiser step of a model as a single function, ready for `compile`: forward pass, loss, gradients, clipping,
 * update and moving average. Randomness (noise, times) and everything that varies with the step come in as inputs.
 */
import type { ArrayMap } from '../tensor/array.ts';
import type { TensorSpec } from '../tensor/compile.ts';
import { named } from '../tensor/named.ts';
import { clipByGlobalNorm, movingAverage, scalarNames } from '../tensor/optimizer.ts';
import type { Optimizer, TensorMap } from '../tensor/optimizer.ts';
import tf from '../tensor/tf.ts';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { classify } from './classifier.ts';
import type { ClassifierConfig } from './classifier.ts';
import { addNoise } from './denoiser.ts';
import type { Prediction } from './denoiser.ts';
import { crossEntropy, diffusionLoss } from './losses.ts';
import { unet } from './unet.ts';
import type { UNetConfig } from './unet.ts';

/** Everything that a step changes. `average` is the moving average of the parameters. */
export type TrainingState<Leaf> = {
  readonly params: Readonly<Record<string, Leaf>>;
  readonly average: Readonly<Record<string, Leaf>>;
  readonly optimizer: Readonly<Record<string, Readonly<Record<string, Leaf>>>>;
};

export type StepResult = TrainingState<Tensor> & {
  readonly loss: Tensor;
  readonly gradientNorm: Tensor;
};

export interface StepOptions {
  readonly optimizer: Optimizer;
  /** Largest global norm of the gradients. */
  readonly clipNorm: number;
}

/** A fresh state: no optimiser memory, the average equal to the parameters. */
export function initialState(params: ArrayMap, optimizer: Optimizer): TrainingState<ArrayMap[string]> {
  return { params, average: params, optimizer: optimizer.init(params) };
}

const scalarSpec: TensorSpec = { shape: [], dtype: 'float32' };

/** Signature of the scalars that a step takes: the optimiser's and `averageDecay`. */
export function scalarsSignature(optimizer: Optimizer): Record<string, TensorSpec> {
  return Object.fromEntries([...scalarNames(optimizer), 'averageDecay'].map((name) => [name, scalarSpec]));
}

function advance(
  state: TrainingState<Tensor>,
  scalars: TensorMap,
  { optimizer, clipNorm }: StepOptions,
  lossOf: (params: TensorMap) => Tensor,
): StepResult {
  const names = Object.keys(state.params);
  const { value, grads } = tf.valueAndGrads(
    (...tensors: Tensor[]) =>
      lossOf(Object.fromEntries(names.map((name, i) => [name, tensors[i]!]))) as Scalar,
  )(names.map((name) => state.params[name]!));
  const gradients = Object.fromEntries(names.map((name, i) => [name, grads[i]!]));
  const clipped = clipByGlobalNorm(gradients, clipNorm);
  const updated = optimizer.update(state.params, clipped.gradients, state.optimizer, scalars);
  return {
    params: updated.params,
    optimizer: updated.state,
    average: movingAverage(state.average, updated.params, scalars['averageDecay']!),
    loss: value,
    gradientNorm: clipped.norm,
  };
}

export type DenoiserBatch<Leaf> = {
  /** Images [n, c, h, w] in [−1, 1]. */
  readonly images: Leaf;
  /** Standard normal, like the images. */
  readonly noise: Leaf;
  /** Time, signal and noise level of each image, and its loss weight: [n]. */
  readonly t: Leaf;
  readonly a: Leaf;
  readonly s: Leaf;
  readonly weights: Leaf;
};

/** One step of an unlabelled denoiser (Ho et al. 2006.11239, with `diffusionLoss`). */
export const denoiserStep = named(
  'denoiserStep',
  (config: UNetConfig, prediction: Prediction, options: StepOptions) => {
    return ({
      state,
      batch,
      scalars,
    }: {
      state: TrainingState<Tensor>;
      batch: DenoiserBatch<Tensor>;
      scalars: TensorMap;
    }) => {
      const perImage = (values: Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
      const level = { t: perImage(batch.t), a: perImage(batch.a), s: perImage(batch.s) };
      const [x0, noise] = [batch.images as Tensor4D, batch.noise as Tensor4D];
      return advance(state, scalars, options, (params) => {
        const output = unet(config, params, addNoise(x0, noise, level), level.t);
        return diffusionLoss(prediction, output, x0, noise, level, { weights: batch.weights as Tensor1D });
      });
    };
  },
);

export type ClassifierBatch<Leaf> = {
  /** Images [n, c, h, w] in [−1, 1]. */
  readonly images: Leaf;
  /** One-hot labels [n, k]. */
  readonly labels: Leaf;
  /** 1 for a real row, 0 for padding: [n]. */
  readonly mask: Leaf;
  /** Weight of each row's loss: [n]. */
  readonly weights: Leaf;
  /** Added to the logits in the loss: [k], zeros for plain cross-entropy. */
  readonly adjustment: Leaf;
};

/** One step of the classifier (`crossEntropy`). */
export const classifierStep = named('classifierStep', (config: ClassifierConfig, options: StepOptions) => {
  return ({
    state,
    batch,
    scalars,
  }: {
    state: TrainingState<Tensor>;
    batch: ClassifierBatch<Tensor>;
    scalars: TensorMap;
  }) =>
    advance(state, scalars, options, (params) =>
      crossEntropy(classify(config, params, batch.images as Tensor4D), batch.labels as Tensor2D, {
        mask: batch.mask as Tensor1D,
        weights: batch.weights as Tensor1D,
        adjustment: batch.adjustment,
      }),
    );
});
