/**
 * One optimiser step of a model as a single function for `compile`: forward pass, loss, gradients, clipping, update and
 * moving average. Randomness (noise, times) and everything that varies with the step are inputs.
 */
import { float32 } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import type { TensorSpec } from '../tensor/compile.ts';
import { named } from '../tensor/named.ts';
import { clipByGlobalNorm, movingAverage, scalarNames, vectorsJoined } from '../tensor/optimizer.ts';
import type { Optimizer, TensorMap } from '../tensor/optimizer.ts';
import tf from '../tensor/tf.ts';
import { isTracing } from '../tensor/trace.ts';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { classify } from './classifier.ts';
import type { ClassifierConfig } from './classifier.ts';
import { owned } from './batch-norm.ts';
import type { BatchStatistics } from './batch-norm.ts';
import { addNoise } from './denoiser.ts';
import type { Prediction } from './denoiser.ts';
import { crossEntropy, diffusionLoss, rowCount, focalLoss, marginLoss } from './losses.ts';
import type { ClassifierLoss } from './losses.ts';
import { unet } from './unet.ts';
import type { UNetConfig } from './unet.ts';

/**
 * The state that a step changes: `average` is the moving average of the parameters; `buffers` are further inputs of the
 * network that no gradient changes (frozen layers, running statistics).
 */
export type TrainingState<Leaf> = {
  readonly params: Readonly<Record<string, Leaf>>;
  readonly buffers: Readonly<Record<string, Leaf>>;
  readonly average: Readonly<Record<string, Leaf>>;
  readonly optimizer: Readonly<Record<string, Readonly<Record<string, Leaf>>>>;
};

/** The state among the results of a step. */
export const STATE_PARTS = ['params', 'buffers', 'average', 'optimizer'] as const;

export type StepResult = TrainingState<Tensor> & {
  readonly loss: Tensor;
  readonly gradientNorm: Tensor;
};

export interface StepOptions {
  readonly optimizer: Optimizer;
  /** Largest global norm of the gradients. */
  readonly clipNorm: number;
  /** Learning-rate factors of individual parameters; 1 for the others. */
  readonly rateFactors?: Readonly<Record<string, number>>;
}

/** A new state: no optimiser memory, the average equal to the parameters. */
export function initialState(
  params: ArrayMap,
  optimizer: Optimizer,
  buffers: ArrayMap = {},
): TrainingState<ArrayMap[string]> {
  return { params, buffers, average: params, optimizer: optimizer.init(params) };
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

/** Rows of a batch [start, start + count). */
type Rows = <T extends Tensor>(tensor: T) => T;

/** Pixels of the images that pass through a network together, few enough for a core's caches. */
const PIXELS_TOGETHER = 2 ** 15;
const MOST_PARTS = 4;
/** Sizes of parts are multiples of this (see the filter's gradient in tensor/trace-convolution.ts). */
const LEAST_ROWS = 8;

/**
 * Finishes the forward and backward pass of each part before the next. An eager engine, which may be a GPU, takes the
 * whole batch.
 */
function partsHere(imageShape: readonly number[]): Rows[] {
  return isTracing() ? partsOf(imageShape) : [WHOLE];
}

const WHOLE: Rows = (tensor) => tensor;

/** How a batch of images [n, c, h, w] is split. */
export function partsOf([n, , height, width]: readonly number[]): Rows[] {
  let parts = 1;
  while (
    parts < MOST_PARTS &&
    (n! / parts) * height! * width! > PIXELS_TOGETHER &&
    n! % (2 * parts * LEAST_ROWS) === 0
  )
    parts *= 2;
  const rows = n! / parts;
  return Array.from(
    { length: parts },
    (_, i): Rows =>
      (tensor) =>
        tf.slice(tensor, i * rows, rows),
  );
}

/** A loss with its gradient for each parameter. */
export type LossGradients = { readonly loss: Tensor; readonly gradients: TensorMap };

/** A loss as a sum over parts of the batch. */
interface PartedLoss {
  readonly parts: readonly Rows[];
  readonly lossOf: (params: TensorMap, rows: Rows) => Tensor;
  /** Filled by the passes: new values of some buffers, which outlive the scope of the gradients. */
  readonly updated?: Readonly<Record<string, Tensor>>;
}

function withGradients(
  params: TensorMap,
  { parts, lossOf, updated = {} }: PartedLoss,
): LossGradients & { readonly updated: TensorMap } {
  const names = Object.keys(params);
  const results = parts.map((rows) =>
    tf.valueAndGrads(
      (...tensors: Tensor[]) =>
        lossOf(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), rows) as Scalar,
    )(names.map((name) => params[name]!)),
  );
  const gradients = Object.fromEntries(
    names.map((name, i) => [name, tf.addN(results.map(({ grads }) => grads[i]!))]),
  );
  return {
    loss: tf.addN(results.map(({ value }) => value)),
    gradients,
    updated: Object.fromEntries(Object.entries(updated).map(([name, kept]) => [name, owned(kept)])),
  };
}

function advance(
  state: TrainingState<Tensor>,
  scalars: TensorMap,
  options: StepOptions,
  loss: PartedLoss,
): StepResult {
  const { loss: value, gradients, updated } = withGradients(state.params, loss);
  const buffers = { ...state.buffers, ...updated };
  return { ...update(state, gradients, scalars, options), buffers, loss: value };
}

/** The state after one step along the gradient of `lossOf` over the whole batch. */
export function advanceState(
  state: TrainingState<Tensor>,
  scalars: TensorMap,
  options: StepOptions,
  lossOf: (params: TensorMap) => Tensor,
): StepResult {
  return advance(state, scalars, options, { parts: [(tensor) => tensor], lossOf });
}

/** The state after a step along `gradients`, and their norm. */
function update(
  state: TrainingState<Tensor>,
  gradients: TensorMap,
  scalars: TensorMap,
  { optimizer, clipNorm, rateFactors = {} }: StepOptions,
): Omit<StepResult, 'loss' | 'buffers'> {
  const { join, split } = vectorsJoined(state.params);
  const each = (slots: Readonly<Record<string, TensorMap>>, change: (map: TensorMap) => TensorMap) =>
    Object.fromEntries(Object.entries(slots).map(([slot, map]) => [slot, change(map)]));
  const clipped = clipByGlobalNorm(join(gradients), clipNorm);
  const memory = each(state.optimizer, join);
  const updated = optimizer.update(join(state.params), clipped.gradients, memory, scalars);
  const params = slowed(state.params, split(updated.params), rateFactors);
  return {
    params,
    optimizer: each(updated.state, split),
    average: split(movingAverage(join(state.average), join(params), scalars['averageDecay']!)),
    gradientNorm: clipped.norm,
  };
}

/** Moves part of the way from `from` to `to`: every optimiser's step is proportional to its learning rate. */
function slowed(from: TensorMap, to: TensorMap, factors: Readonly<Record<string, number>>): TensorMap {
  return Object.fromEntries(
    Object.entries(to).map(([name, theta]) => {
      const factor = factors[name] ?? 1;
      if (factor === 1) return [name, theta];
      return [name, tf.add(from[name]!, tf.mul(tf.sub(theta, from[name]!), factor))];
    }),
  );
}

export type DenoiserBatch<Leaf> = {
  /** Images [n, c, h, w] in [−1, 1]. */
  readonly images: Leaf;
  /** Standard normal noise, shaped like the images. */
  readonly noise: Leaf;
  /** Time, signal and noise level of each image, and its loss weight: [n]. */
  readonly t: Leaf;
  readonly a: Leaf;
  readonly s: Leaf;
  readonly weights: Leaf;
};

function denoiserLoss(config: UNetConfig, prediction: Prediction, batch: DenoiserBatch<Tensor>): PartedLoss {
  const perImage = (values: Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
  const divisor = tf.scalar(batch.images.shape[0]);
  const lossOf = (params: TensorMap, rows: Rows) => {
    const [x0, noise] = [rows(batch.images as Tensor4D), rows(batch.noise as Tensor4D)];
    const weights = rows(batch.weights as Tensor1D);
    const level = { t: perImage(rows(batch.t)), a: perImage(rows(batch.a)), s: perImage(rows(batch.s)) };
    const output = unet(config, params, addNoise(x0, noise, level), level.t);
    return diffusionLoss(prediction, output, x0, noise, level, { weights, divisor });
  };
  return { parts: partsHere(batch.images.shape), lossOf };
}

interface StepInputs<Batch> {
  readonly state: TrainingState<Tensor>;
  readonly batch: Batch;
  readonly scalars: TensorMap;
}

interface GradientInputs<Batch> {
  readonly params: TensorMap;
  readonly buffers?: TensorMap;
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

/** How a batch-normalised classifier is trained. */
export interface ClassifierPass {
  /** Layers that are normalised by the batch's statistics; the others use their running ones. None by default. */
  readonly measured?: readonly string[];
}

function classifierLoss(
  config: ClassifierConfig,
  { measured = [] }: ClassifierPass,
  batch: ClassifierBatch<Tensor>,
  buffers: TensorMap = {},
  loss: ClassifierLoss = { kind: 'cross-entropy' },
): PartedLoss {
  const mask = batch.mask as Tensor1D;
  const divisor = rowCount(mask);
  const updated: Record<string, Tensor> = {};
  const statistics: BatchStatistics = {
    mask,
    isMeasured: (layer) => measured.includes(layer),
    update: (found) => {
      for (const [name, tensor] of Object.entries(found)) updated[name] = tf.keep(tensor);
    },
  };
  const lossOf = (params: TensorMap, rows: Rows) => {
    const all = { ...buffers, ...params };
    const logits = classify(config, all, rows(batch.images as Tensor4D), statistics);
    const labels = rows(batch.labels as Tensor2D);
    const weights = rows(batch.weights as Tensor1D);
    const options = { mask: rows(mask), weights, adjustment: batch.adjustment, divisor };
    if (loss.kind === 'focal') return focalLoss(logits, labels, loss.gamma, options);
    if (loss.kind === 'margin') return marginLoss(logits, labels, loss.margins, options);
    return crossEntropy(logits, labels, options);
  };
  // Statistics cover the whole batch, so it cannot be split.
  const parts = measured.length > 0 ? [WHOLE] : partsHere(batch.images.shape);
  return { parts, lossOf, updated };
}

/** One step of the classifier; without a `loss`, of `crossEntropy`. */
export const classifierStep = named(
  'classifierStep',
  (config: ClassifierConfig, options: StepOptions & ClassifierPass, loss?: ClassifierLoss) =>
    ({ state, batch, scalars }: StepInputs<ClassifierBatch<Tensor>>) =>
      advance(state, scalars, options, classifierLoss(config, options, batch, state.buffers, loss)),
);

/** The gradients of that step, before clipping. */
export const classifierGradients = named(
  'classifierGradients',
  (config: ClassifierConfig, pass: ClassifierPass = {}, loss?: ClassifierLoss) =>
    ({ params, batch, buffers }: GradientInputs<ClassifierBatch<Tensor>>): LossGradients =>
      withGradients(params, classifierLoss(config, pass, batch, buffers, loss)),
);
