/**
 * One optimiser step of a model as a single function, ready for `compile`: forward pass, loss, gradients, clipping,
 * update and moving average. Randomness (noise, times) and everything that varies with the step come in as inputs.
 */
import { float32 } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
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

/** Those scalars as inputs of a step, counted from 1. */
export function scalarInputs(
  optimizer: Optimizer,
  { step, learningRate, averageDecay }: StepNumbers,
): Record<string, NdArray> {
  const numbers = { ...optimizer.scalars(step, learningRate), averageDecay };
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, float32([], [value])]));
}

export interface StepNumbers {
  readonly step: number;
  readonly learningRate: number;
  readonly averageDecay: number;
}

/** A loss with its gradient for each parameter. */
export type LossGradients = { readonly loss: Tensor; readonly gradients: TensorMap };

type LossOf = (params: TensorMap) => Tensor;

function withGradients(params: TensorMap, lossOf: LossOf): LossGradients {
  const names = Object.keys(params);
  const { value, grads } = tf.valueAndGrads(
    (...tensors: Tensor[]) =>
      lossOf(Object.fromEntries(names.map((name, i) => [name, tensors[i]!]))) as Scalar,
  )(names.map((name) => params[name]!));
  return { loss: value, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])) };
}

function advance(
  state: TrainingState<Tensor>,
  scalars: TensorMap,
  { optimizer, clipNorm }: StepOptions,
  lossOf: LossOf,
): StepResult {
  const { loss, gradients } = withGradients(state.params, lossOf);
  const clipped = clipByGlobalNorm(gradients, clipNorm);
  const updated = optimizer.update(state.params, clipped.gradients, state.optimizer, scalars);
  return {
    params: updated.params,
    optimizer: updated.state,
    average: movingAverage(state.average, updated.params, scalars['averageDecay']!),
    loss,
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

function denoiserLoss(config: UNetConfig, prediction: Prediction, batch: DenoiserBatch<Tensor>): LossOf {
  const perImage = (values: Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
  const level = { t: perImage(batch.t), a: perImage(batch.a), s: perImage(batch.s) };
  const [x0, noise] = [batch.images as Tensor4D, batch.noise as Tensor4D];
  return (params) => {
    const output = unet(config, params, addNoise(x0, noise, level), level.t);
    return diffusionLoss(prediction, output, x0, noise, level, { weights: batch.weights as Tensor1D });
  };
}

interface StepInputs<Batch> {
  readonly state: TrainingState<Tensor>;
  readonly batch: Batch;
  readonly scalars: TensorMap;
}

interface GradientInputs<Batch> {
  readonly params: TensorMap;
  readonly batch: Batch;
}

/** One step of an unlabelled denoiser (Ho et al. 2006.11239, with `diffusionLoss`). */
export const denoiserStep = named(
  'denoiserStep',
  (config: UNetConfig, prediction: Prediction, options: StepOptions) =>
    ({ state, batch, scalars }: StepInputs<DenoiserBatch<Tensor>>) =>
      advance(state, scalars, options, denoiserLoss(config, prediction, batch)),
);

/** The gradients of that step, before clipping. */
export const denoiserGradients = named(
  'denoiserGradients',
  (config: UNetConfig, prediction: Prediction) =>
    ({ params, batch }: GradientInputs<DenoiserBatch<Tensor>>) =>
      withGradients(params, denoiserLoss(config, prediction, batch)),
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

function classifierLoss(config: ClassifierConfig, batch: ClassifierBatch<Tensor>): LossOf {
  return (params) =>
    crossEntropy(classify(config, params, batch.images as Tensor4D), batch.labels as Tensor2D, {
      mask: batch.mask as Tensor1D,
      weights: batch.weights as Tensor1D,
      adjustment: batch.adjustment,
    });
}

/** One step of the classifier (`crossEntropy`). */
export const classifierStep = named(
  'classifierStep',
  (config: ClassifierConfig, options: StepOptions) =>
    ({ state, batch, scalars }: StepInputs<ClassifierBatch<Tensor>>) =>
      advance(state, scalars, options, classifierLoss(config, batch)),
);

/** The gradients of that step, before clipping. */
export const classifierGradients = named(
  'classifierGradients',
  (config: ClassifierConfig) =>
    ({ params, batch }: GradientInputs<ClassifierBatch<Tensor>>) =>
      withGradients(params, classifierLoss(config, batch)),
);
