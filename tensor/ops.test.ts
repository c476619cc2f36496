import { describe, expect, it } from 'vitest';
import * as ops from './ops.ts';
import tf from './tf.ts';
import type { Tensor, Tensor4D } from './tf.ts';

await tf.setBackend('cpu');

function values(tensor: Tensor): number[] {
  return Array.from(tensor.dataSync());
}

/** Central differences of sum(f(x) · weights) against tfjs's gradient. */
function checkGradient(f: (x: Tensor) => Tensor, x: Tensor, step = 1e-2, tolerance = 2e-3): void {
  const weights = tf.tensor(
    Array.from({ length: f(x).size }, (_, i) => Math.sin(i + 1)),
    f(x).shape,
  );
  const objective = (input: Tensor) => tf.sum(tf.mul(f(input), weights)).asScalar();
  const gradient = values(tf.grad(objective)(x));
  const at = values(x);
  for (let i = 0; i < at.length; i++) {
    const shifted = (delta: number) => {
      const copy = [...at];
      copy[i]! += delta;
      return objective(tf.tensor(copy, x.shape)).dataSync()[0]!;
    };
    const difference = (shifted(step) - shifted(-step)) / (2 * step);
    expect(Math.abs(gradient[i]! - difference), `element ${i}`).toBeLessThan(
      tolerance * Math.max(1, Math.abs(difference)),
    );
  }
}

const image = tf.tensor4d(
  Array.from({ length: 2 * 4 * 4 * 4 }, (_, i) => Math.sin(i * 1.7) + 0.1 * Math.cos(i)),
  [2, 4, 4, 4],
);

describe('conv2d', () => {
  it('is the cross-correlation worked out by hand', () => {
    const x = tf.tensor4d([1, 2, 3, 4], [1, 1, 2, 2]);
    const weight = tf.tensor4d([0, 0, 0, 0, 1, 0, 0, 10, 100], [1, 1, 3, 3]);
    // out[i][j] = x[i][j] + 10 x[i+1][j] + 100 x[i+1][j+1], zero outside
    expect(values(ops.conv2d(x, weight))).toEqual([1 + 30 + 400, 2 + 40, 3, 4]);
    const ones: Tensor4D = tf.ones([3, 4, 3, 3]);
    expect(ops.conv2d(image, ones, { stride: 2 }).shape).toEqual([2, 3, 2, 2]);
  });

  it.each([1, 2])('has the right gradients at stride %i', (stride) => {
    const weight = tf.tensor4d(
      Array.from({ length: 2 * 4 * 9 }, (_, i) => Math.cos(i)),
      [2, 4, 3, 3],
    );
    checkGradient((x) => ops.conv2d(x as Tensor4D, weight, { stride }), image);
    checkGradient((w) => ops.conv2d(image, w as Tensor4D, { stride }), weight);
  });
});

describe('groupNorm', () => {
  it('normalises each group of each image', () => {
    const y = ops.groupNorm(image, tf.ones([4]), tf.zeros([4]), 2);
    const firstGroup = values(y).slice(0, 32);
    const mean = firstGroup.reduce((sum, v) => sum + v, 0) / 32;
    const variance = firstGroup.reduce((sum, v) => sum + v * v, 0) / 32;
    expect(Math.abs(mean)).toBeLessThan(1e-6);
    expect(Math.abs(variance - 1)).toBeLessThan(1e-4);
    expect(() => ops.groupNorm(image, tf.ones([4]), tf.zeros([4]), 3)).toThrow(RangeError);
  });

  it('has the right gradient', () => {
    const scale = tf.tensor1d([1, 2, -1, 0.5]);
    checkGradient((x) => ops.groupNorm(x as Tensor4D, scale, tf.tensor1d([0, 1, 2, 3]), 2), image);
  });
});

describe('other layers', () => {
  it('silu: x / (1 + e^−x) and its gradient', () => {
    const y = values(ops.silu(tf.tensor1d([-1, 0, 2])));
    [-0.2689414, 0, 1.7615942].forEach((expected, i) => expect(y[i]).toBeCloseTo(expected, 5));
    checkGradient((x) => ops.silu(x), image);
  });

  it('upsampleConv2d convolves the doubled image', () => {
    const weight = tf.tensor4d(
      Array.from({ length: 3 * 4 * 9 }, (_, i) => Math.cos(i)),
      [3, 4, 3, 3],
    );
    const channelsLast = tf.transpose<Tensor4D>(image, [0, 2, 3, 1]);
    const doubled = tf.transpose<Tensor4D>(tf.image.resizeNearestNeighbor(channelsLast, [8, 8]), [0, 3, 1, 2]); // prettier-ignore
    const expected = values(tf.add(ops.conv2d(doubled, weight), tf.tensor4d([1, 2, 3], [1, 3, 1, 1])));
    const actual = ops.upsampleConv2d(image, weight, tf.tensor1d([1, 2, 3]));
    expect(actual.shape).toEqual([2, 3, 8, 8]);
    values(actual).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
  });

  it('spaceToDepth gathers blocks, depthToSpace undoes it', () => {
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4]);
    expect(values(ops.spaceToDepth(x, 2))).toEqual([1, 3, 2, 4, 5, 7, 6, 8]);
    expect(values(ops.depthToSpace(ops.spaceToDepth(image, 2), 2))).toEqual(values(image));
  });

  it('linear and avgPoolGlobal by hand', () => {
    const y = ops.linear(tf.tensor2d([[1, 2]]), tf.tensor2d([[3, 4], [5, 6]]), tf.tensor1d([0.5, 0])); // prettier-ignore
    expect(values(y)).toEqual([11.5, 17]);
    expect(values(ops.avgPoolGlobal(tf.tensor4d([1, 2, 3, 6], [1, 1, 2, 2])))).toEqual([3]);
  });
});
