/**
 * Model parameters by name. Outside graphs a model is a flat `ArrayMap`; inside, a flat record of tensors with the
 * same names, which are PyTorch's (`stem.conv.weight` [out, in, kh, kw], `head.weight` [out, in]).
 */
import { sizeOf, zeros } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { conv2d, groupNorm, linear, upsampleConv2d } from '../tensor/ops.ts';
import { foldIn, normal } from '../tensor/random.ts';
import type { Key } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';

export type Parameters = Readonly<Record<string, Tensor>>;

/** Collects a new model's parameters; each is drawn from its own stream, so the order of calls does not matter. */
export class Initializer {
  readonly arrays: Record<string, NdArray> = {};
  readonly #key: Key;

  constructor(key: Key) {
    this.#key = key;
  }

  /** Weight [out, in, size, size] of variance 2/fan-in (He et al. 2015), or zeros; with a zero bias unless disabled. */
  conv(
    name: string,
    inputs: number,
    outputs: number,
    size: number,
    { zero = false, bias = true } = {},
  ): void {
    const gain = zero ? 0 : Math.sqrt(2 / (inputs * size * size));
    this.arrays[`${name}.weight`] = this.#normal(`${name}.weight`, [outputs, inputs, size, size], gain);
    if (bias) this.arrays[`${name}.bias`] = zeros([outputs]);
  }

  /** Weight [out, in] of variance 1/fan-in (LeCun et al. 1998); with a zero bias unless disabled. */
  linear(name: string, inputs: number, outputs: number, { bias = true } = {}): void {
    this.arrays[`${name}.weight`] = this.#normal(`${name}.weight`, [outputs, inputs], Math.sqrt(1 / inputs));
    if (bias) this.arrays[`${name}.bias`] = zeros([outputs]);
  }

  /** Scale of ones and bias of zeros, [channels] each. */
  norm(name: string, channels: number): void {
    const ones = zeros([channels]);
    ones.data.fill(1);
    this.arrays[`${name}.weight`] = ones;
    this.arrays[`${name}.bias`] = zeros([channels]);
  }

  /** Like `norm`, with running statistics: mean 0 and variance 1. */
  batchNorm(name: string, channels: number): void {
    this.norm(name, channels);
    this.arrays[`${name}.running_mean`] = zeros([channels]);
    this.arrays[`${name}.running_var`] = this.arrays[`${name}.weight`]!;
  }

  #normal(name: string, shape: readonly number[], deviation: number): NdArray {
    const data = deviation === 0 ? zeros(shape).data : normal(foldIn(this.#key, name), sizeOf(shape));
    return { dtype: 'float32', shape, data: data.map((value) => value * deviation) };
  }
}

/** The tensor called `name`; throws RangeError when the model has none. */
export function parameter<T extends Tensor>(params: Parameters, name: string): T {
  const found = params[name];
  if (found === undefined) throw new RangeError(`parameter '${name}' is missing`);
  return found as T;
}

/** Convolution with the weight and, if there is one, the bias called `name`. [n, c, h, w] → [n, o, h', w']. */
export function convLayer(
  params: Parameters,
  name: string,
  x: Tensor4D,
  options: { stride?: number; pad?: number } = {},
): Tensor4D {
  const y = conv2d(x, parameter<Tensor4D>(params, `${name}.weight`), options);
  const bias = params[`${name}.bias`];
  return bias === undefined ? y : tf.add(y, tf.reshape(bias, [1, -1, 1, 1]));
}

/** Nearest-neighbour doubling, then the 3×3 convolution called `name`. [n, c, h, w] → [n, o, 2h, 2w]. */
export function upsampleConvLayer(params: Parameters, name: string, x: Tensor4D): Tensor4D {
  const weight = parameter<Tensor4D>(params, `${name}.weight`);
  return upsampleConv2d(x, weight, parameter<Tensor1D>(params, `${name}.bias`));
}

/** Group normalisation with the scale and bias called `name`. */
export function normLayer(
  params: Parameters,
  name: string,
  x: Tensor4D,
  groups: number,
  epsilon?: number,
): Tensor4D {
  const scale = parameter<Tensor1D>(params, `${name}.weight`);
  return groupNorm(x, scale, parameter<Tensor1D>(params, `${name}.bias`), groups, epsilon);
}

/** Linear layer with the weight and bias called `name`. [n, i] → [n, o]. */
export function linearLayer(params: Parameters, name: string, x: Tensor2D): Tensor2D {
  return linear(
    x,
    parameter<Tensor2D>(params, `${name}.weight`),
    parameter<Tensor1D>(params, `${name}.bias`),
  );
}

/** Number of scalars in a model. */
export function parameterCount(params: ArrayMap): number {
  return Object.values(params).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
