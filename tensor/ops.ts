/**
 * Network layers as plain tfjs functions in one layout: images [n, c, h, w], parameters as PyTorch stores them
 * (convolution [out, in, kh, kw], linear [out, in]), so that one trace never changes layout on the way.
 */
import { GROUP_NORM, runFused, SILU, UPSAMPLE_2X } from './fused-kernels.ts';
import tf from './tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from './tf.ts';

/**
 * 2-D cross-correlation without bias, zero padded by `pad` pixels on each side (default (k − 1)/2: odd kernels keep
 * their size at stride 1). x [n, c, h, w], weight [o, c, kh, kw] → [n, o, h', w'].
 */
export function conv2d(
  x: Tensor4D,
  weight: Tensor4D,
  { stride = 1, pad = (weight.shape[2] - 1) / 2 }: { stride?: number; pad?: number } = {},
): Tensor4D {
  const kernel = tf.transpose(weight, [2, 3, 1, 0]);
  // Spelt out per axis: with a single number tfjs takes the kernel's height for its width.
  const padding: Parameters<typeof tf.conv2d>[3] = [
    [0, 0],
    [0, 0],
    [pad, pad],
    [pad, pad],
  ];
  return tf.conv2d(x, kernel, stride, padding, 'NCHW', 1, 'floor');
}

/**
 * Group normalisation (Wu and He, arXiv 1803.08494), ε = 1e-5: x [n, c, h, w], scale and bias [c]; `groups` divides c.
 */
export function groupNorm(x: Tensor4D, scale: Tensor1D, bias: Tensor1D, groups: number): Tensor4D {
  const [, c] = x.shape;
  if (c % groups !== 0) throw new RangeError(`${groups} groups do not divide ${c} channels`);
  return runFused(GROUP_NORM, { x, scale, bias }, { groups, epsilon: 1e-5 })[0] as Tensor4D;
}

/** x · sigmoid(x), any shape. */
export function silu<T extends Tensor>(x: T): T {
  return runFused(SILU, { x })[0] as T;
}

/** Nearest-neighbour doubling: [n, c, h, w] → [n, c, 2h, 2w]. */
export function upsample2x(x: Tensor4D): Tensor4D {
  return runFused(UPSAMPLE_2X, { x })[0] as Tensor4D;
}

/** [n, c, h, w] → [n, c·b², h/b, w/b]: each b×b block's pixels become channels. `block` divides h and w. */
export function spaceToDepth(x: Tensor4D, block: number): Tensor4D {
  const [n, c, height, width] = x.shape;
  const blocks = tf.reshape(x, [n, c, height / block, block, width / block, block]);
  return tf.reshape(tf.transpose(blocks, [0, 1, 3, 5, 2, 4]), [
    n,
    c * block * block,
    height / block,
    width / block,
  ]);
}

/** Inverse of `spaceToDepth`: [n, c·b², h, w] → [n, c, h·b, w·b]. */
export function depthToSpace(x: Tensor4D, block: number): Tensor4D {
  const [n, channels, height, width] = x.shape;
  const c = channels / (block * block);
  const blocks = tf.reshape(x, [n, c, block, block, height, width]);
  return tf.reshape(tf.transpose(blocks, [0, 1, 4, 2, 5, 3]), [n, c, height * block, width * block]);
}

/** x [n, i] · weight [o, i]ᵀ + bias [o] → [n, o]. */
export function linear(x: Tensor2D, weight: Tensor2D, bias?: Tensor1D): Tensor2D {
  const product: Tensor2D = tf.matMul(x, weight, false, true);
  return bias === undefined ? product : tf.add<Tensor2D>(product, bias);
}

/** Mean over height and width: [n, c, h, w] → [n, c]. */
export function avgPoolGlobal(x: Tensor4D): Tensor2D {
  const pooled: Tensor2D = tf.mean(x, [2, 3]);
  return pooled;
}
