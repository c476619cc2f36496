/**
 * Network layers as plain tfjs functions in one layout: images [n, c, h, w], parameters as PyTorch stores them
 * (convolution [out, in, kh, kw], linear [out, in]), so that one trace never changes layout on the way.
 */
import { GROUP_NORM, MAX_POOL, runFused, SILU } from './fused-kernels.ts';
import tf from './tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from './tf.ts';

/**
 * 2-D cross-correlation without bias, zero padded by `pad` pixels on each side, or by two numbers before and after it along
 * both axes (default (k − 1)/2: odd kernels keep their size at stride 1). x [n, c, h, w], weight [o, c, kh, kw] → [n, o, h', w'].
 */
export function conv2d(
  x: Tensor4D,
  weight: Tensor4D,
  { stride = 1, pad = (weight.shape[2] - 1) / 2 }: { stride?: number; pad?: number | Pads } = {},
): Tensor4D {
  const pads: Pads = typeof pad === 'number' ? [pad, pad] : pad;
  return padded(x, weight, stride, pads, pads);
}

/** Above and below the image, or to its left and right. */
type Pads = readonly [before: number, after: number];

/** Given per axis: with a single number for the padding, tfjs uses the kernel's height for its width. */
function padded(x: Tensor4D, weight: Tensor4D, stride: number, rows: Pads, columns: Pads): Tensor4D {
  const kernel = tf.transpose(weight, [2, 3, 1, 0]);
  return tf.conv2d(x, kernel, stride, [[0, 0], [0, 0], [...rows], [...columns]], 'NCHW', 1, 'floor'); // prettier-ignore
}

/**
 * Nearest-neighbour doubling of height and width, then a 3×3 convolution: x [n, c, h, w], weight [o, c, 3, 3], bias [o]
 * → [n, o, 2h, 2w]. Taps on copied pixels can be summed: the outputs with the same parities of row and column are a 2×2
 * convolution of x itself, so four of them need only 4/9 of the multiplications.
 */
export function upsampleConv2d(x: Tensor4D, weight: Tensor4D, bias: Tensor1D): Tensor4D {
  const [o, c] = weight.shape;
  const flat = tf.reshape(weight, [o * c, 9]);
  const quarter = (r: 0 | 1, s: 0 | 1) => {
    const kernel: Tensor4D = tf.reshape(tf.matMul(flat, tf.tensor2d(sumsOfTaps(r, s))), [o, c, 2, 2]);
    return tf.add<Tensor4D>(padded(x, kernel, 1, [1 - r, r], [1 - s, s]), tf.reshape(bias, [1, o, 1, 1]));
  };
  return interleave([quarter(0, 0), quarter(0, 1), quarter(1, 0), quarter(1, 1)]);
}

/** Which taps of a row of three fall on each of the two pixels under an even (odd) output. */
const TAPS = [[[0], [1, 2]], [[0, 1], [2]]] as const; // prettier-ignore

/** [9, 4]: 1 where tap (i, j) of 3×3 falls on pixel (a, b) of the 2×2 under outputs of parities (r, s). */
function sumsOfTaps(r: 0 | 1, s: 0 | 1): number[][] {
  const meets = (taps: readonly number[], tap: number) => Number(taps.includes(tap));
  return Array.from({ length: 9 }, (_, tap) =>
    TAPS[r].flatMap((rows) =>
      TAPS[s].map((columns) => meets(rows, Math.floor(tap / 3)) * meets(columns, tap % 3)),
    ),
  );
}

/** Four images [n, c, h, w], by the parities (0, 0), (0, 1), (1, 0), (1, 1) of row and column → [n, c, 2h, 2w]. */
function interleave(quarters: readonly [Tensor4D, Tensor4D, Tensor4D, Tensor4D]): Tensor4D {
  const [n, c, height, width] = quarters[0].shape;
  const [a, b, d, e] = quarters.map((quarter) => tf.reshape(quarter, [n * c * height * width, 1]));
  const rows = [tf.concat([a!, b!], 1), tf.concat([d!, e!], 1)];
  const sides = rows.map((row) => tf.reshape(row, [n * c * height, 2 * width]));
  return tf.reshape(tf.concat(sides, 1), [n, c, 2 * height, 2 * width]);
}

/** Group normalisation (Wu and He, arXiv 1803.08494): x [n, c, h, w], scale and bias [c]; `groups` divides c. */
export function groupNorm(
  x: Tensor4D,
  scale: Tensor1D,
  bias: Tensor1D,
  groups: number,
  epsilon = 1e-5,
): Tensor4D {
  const [, c] = x.shape;
  if (c % groups !== 0) throw new RangeError(`${groups} groups do not divide ${c} channels`);
  return runFused(GROUP_NORM, { x, scale, bias }, { groups, epsilon })[0] as Tensor4D;
}

/** x · sigmoid(x), any shape. */
export function silu<T extends Tensor>(x: T): T {
  return runFused(SILU, { x })[0] as T;
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

/**
 * The largest value of each window of `size`×`size` pixels, `stride` apart, of an image with `pad` pixels of −∞ around it:
 * x [n, c, h, w] → [n, c, ⌊(h + 2·pad − size)/stride⌋ + 1, …]. Of equal values the first receives the gradient, as in
 * PyTorch.
 */
export function maxPool2d(
  x: Tensor4D,
  { size, stride = size, pad = 0 }: { size: number; stride?: number; pad?: number },
): Tensor4D {
  return runFused(MAX_POOL, { x }, { size, stride, pad })[0] as Tensor4D;
}
