import { describe, expect, it } from 'vitest';
import { keyFromSeed, normal } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor4D } from '../tensor/tf.ts';
import { resized, resizedValues } from './resize.ts';

await tf.setBackend('cpu');

const from = { height: 4, width: 5, channels: 1 };
const image = Float32Array.from({ length: 20 }, (_, i) => ((i * 7) % 11) / 10);

describe('resize', () => {
  it.each([
    // torch.nn.functional.interpolate(…, mode='bilinear', antialias=True) of PyTorch 2.15, in double precision
    [3, 7, [0.06, 0.46, 0.645714, 0.36, 0.624286, 0.7, 0.66, 0.3, 0.385714, 0.492857, 0.6, 0.314286, 0.5, 0.9, 0.54, 0.311429, 0.34, 0.84, 0.554286, 0.41, 0.37]], // prettier-ignore
    [2, 2, [0.45, 0.578571, 0.421429, 0.514286]],
    [6, 5, [0, 0.7, 0.3, 1, 0.6, 0.1, 0.8, 0.4, 0.55, 0.7, 0.233333, 0.75, 0.533333, 0.133333, 0.833333, 0.366667, 0.15, 0.666667, 0.266667, 0.966667, 0.5, 0.1, 0.8, 0.4, 0.55, 0.6, 0.2, 0.9, 0.5, 0.1]], // prettier-ignore
  ])('to %i × %i is PyTorch’s, as tensors and as numbers', (height, width, expected) => {
    const to = { height, width, channels: 1 };
    const values = resizedValues(image, 1, from, to);
    const tensor = resized(tf.tensor4d(image, [1, 1, 4, 5]), to).dataSync();
    expected.forEach((value, i) => {
      expect(values[i]).toBeCloseTo(value, 5);
      expect(tensor[i]).toBeCloseTo(value, 5);
    });
    expect(values.length).toBe(expected.length);
  });

  it.each([
    [1, 3],
    [3, 1],
  ])('of %i channels to %i is the same as tensors and as numbers, image by image', (c, channels) => {
    const shape = { height: 4, width: 5, channels: c };
    const to = { height: 3, width: 8, channels };
    const two = normal(keyFromSeed(1), 2 * c * 20);
    const values = resizedValues(Float32Array.from(two), 2, shape, to);
    const tensor = resized(tf.tensor4d(two, [2, c, 4, 5]), to);
    expect(tensor.shape).toEqual([2, channels, 3, 8]);
    tensor.dataSync().forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
  });

  it('weighs the colours of a grey value by 0.299, 0.587 and 0.114', () => {
    const to = { height: 1, width: 1, channels: 1 };
    const value = resizedValues(Float32Array.of(1, 0.5, -1), 1, { ...to, channels: 3 }, to)[0];
    expect(value).toBeCloseTo(0.299 + 0.2935 - 0.114, 6);
  });

  it('has the transposed resize as its gradient', () => {
    const to = { height: 7, width: 3, channels: 3 };
    const weights = tf.tensor4d(normal(keyFromSeed(2), 63), [1, 3, 7, 3]);
    const gradient = tf.grad((x) => tf.sum(tf.mul(resized(x as Tensor4D, to), weights)));
    const dx = gradient(tf.tensor4d(image, [1, 1, 4, 5])).dataSync();
    for (let i = 0; i < 20; i++) {
      const unit = Float32Array.from({ length: 20 }, (_, k) => Number(k === i)); // the resize is linear
      const column = tf.sum(tf.mul(resized(tf.tensor4d(unit, [1, 1, 4, 5]), to), weights)).dataSync()[0]!;
      expect(dx[i]).toBeCloseTo(column, 5);
    }
  });
});
