/**
 * Converts images between sizes and numbers of channels, when prior and classifier differ. Bilinear with antialiasing,
 * as Pillow's and PyTorch's (`interpolate(mode='bilinear', antialias=True)`): a pixel of the result is a mean of the
 * pixels under a triangle as wide as two pixels of the coarser image. Rows and columns are separable, so a resize is
 * two products with constant matrices: y = A_h·x·A_wᵀ, and its gradient two more.
 *
 * Grey to colour repeats the channel; colour to grey is 0.299·r + 0.587·g + 0.114·b.
 */
import type { ImageShape } from './model-file.ts';
import tf from '../tensor/tf.ts';
import type { Tensor2D, Tensor4D } from '../tensor/tf.ts';

const LUMA = [0.299, 0.587, 0.114];

/** [to, from] row-major, float64: each row sums to 1. */
export function resizeWeights(from: number, to: number): Float64Array {
  const weights = new Float64Array(to * from);
  const ratio = from / to;
  const reach = Math.max(1, ratio);
  for (let row = 0; row < to; row++) {
    const centre = (row + 0.5) * ratio;
    let sum = 0;
    for (let k = 0; k < from; k++) {
      const weight = Math.max(0, 1 - Math.abs(k + 0.5 - centre) / reach);
      weights[row * from + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < from; k++) weights[row * from + k]! /= sum;
  }
  return weights;
}

/**
 * x [n, c, h, w] → [n, shape.channels, shape.height, shape.width], with a gradient. A matching x is returned unchanged.
 */
export function resized(x: Tensor4D, { height, width, channels }: ImageShape): Tensor4D {
  const [, c, h, w] = x.shape;
  const matrix = (from: number, to: number) =>
    tf.tensor2d(Float32Array.from(resizeWeights(from, to)), [to, from]);
  const [n] = x.shape;
  const grey: Tensor4D = c > channels ? tf.sum(tf.mul(x, tf.tensor4d(LUMA, [1, 3, 1, 1])), 1, true) : x;
  const own = grey.shape[1];
  const rows: Tensor4D =
    h === height
      ? grey
      : tf.reshape(tf.matMul(matrix(h, height), tf.reshape(grey, [n * own, h, w])), [n, own, height, w]);
  const both: Tensor4D =
    w === width
      ? rows
      : tf.reshape(
          tf.matMul<Tensor2D>(tf.reshape(rows, [n * own * height, w]), matrix(w, width), false, true),
          [n, own, height, width],
        );
  return own < channels ? tf.concat(new Array<Tensor4D>(channels).fill(both), 1) : both;
}

/** The same for plain numbers: [count, c, h, w] → [count, c', h', w']. */
export function resizedValues(
  values: Float32Array,
  count: number,
  from: ImageShape,
  to: ImageShape,
): Float32Array {
  if (isEqualShape(from, to)) return values;
  const [rows, columns] = [taps(from.height, to.height), taps(from.width, to.width)];
  const size = from.channels * from.height * from.width;
  const plane = to.height * to.width;
  const out = new Float32Array(count * to.channels * plane);
  for (let i = 0; i < count; i++) {
    const image = withChannels(values.subarray(i * size, (i + 1) * size), from, to.channels);
    const planes = image.length / (from.height * from.width);
    for (let channel = 0; channel < to.channels; channel++) {
      const start = Math.min(channel, planes - 1) * from.height * from.width;
      const target = (i * to.channels + channel) * plane;
      writePlane(image.subarray(start), from.width, [rows, columns], out.subarray(target, target + plane));
    }
  }
  return out;
}

export function isEqualShape(a: ImageShape, b: ImageShape): boolean {
  return a.height === b.height && a.width === b.width && a.channels === b.channels;
}

/** One grey plane if colour becomes grey; otherwise the image itself. */
function withChannels(
  image: Float32Array,
  { channels, height, width }: ImageShape,
  to: number,
): Float32Array {
  if (channels <= to) return image;
  const plane = height * width;
  return Float32Array.from({ length: plane }, (_, i) =>
    LUMA.reduce((sum, weight, channel) => sum + weight * image[channel * plane + i]!, 0),
  );
}

type Taps = readonly { readonly first: number; readonly weights: readonly number[] }[];

/** The non-zero weights of each row of the matrix. */
function taps(from: number, to: number): Taps {
  const matrix = resizeWeights(from, to);
  return Array.from({ length: to }, (_, row) => {
    const weights = [...matrix.subarray(row * from, (row + 1) * from)];
    const first = weights.findIndex((weight) => weight > 0);
    const last = weights.findLastIndex((weight) => weight > 0);
    return { first, weights: weights.slice(first, last + 1) };
  });
}

function writePlane(
  plane: Float32Array,
  width: number,
  [rows, columns]: readonly [Taps, Taps],
  out: Float32Array,
): void {
  const narrow = new Float64Array(width);
  let target = 0;
  for (const { first: top, weights: down } of rows) {
    narrow.fill(0);
    for (const [k, weight] of down.entries())
      for (let x = 0; x < width; x++) narrow[x]! += weight * plane[(top + k) * width + x]!;
    for (const { first: left, weights: across } of columns) {
      let sum = 0;
      for (let k = 0; k < across.length; k++) sum += across[k]! * narrow[left + k]!;
      out[target++] = sum;
    }
  }
}
