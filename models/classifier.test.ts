import { describe, expect, it } from 'vitest';
import type { ArrayMap } from '../tensor/array.ts';
import { keyFromSeed, normal } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { classify, DEFAULT_CLASSIFIER, features, initClassifier } from './classifier.ts';
import { crossEntropy } from './losses.ts';
import { parameterCount } from './parameters.ts';

await tf.setBackend('cpu');

const CONFIG = { channels: 1, classes: 3, widths: [4, 8], blocksPerStage: 1, groups: 2 };

function tensorsOf(arrays: ArrayMap): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]),
  );
}

function images(shape: [number, number, number, number]): Tensor4D {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tf.tensor4d(normal(keyFromSeed(9), size), shape);
}

describe('classifier', () => {
  it('has the parameters counted by hand, in PyTorch layouts', () => {
    const arrays = initClassifier({ ...DEFAULT_CLASSIFIER, channels: 1, classes: 10 }, keyFromSeed(0));
    // stem 144 + 32; stages 2·(2304 + 32); 4608 + 9216 + 512 + 3·64; 18432 + 36864 + 2048 + 3·128; head 650
    expect(parameterCount(arrays)).toBe(176 + 4672 + 14528 + 57728 + 650);
    expect(arrays['stem.conv.weight']!.shape).toEqual([16, 1, 3, 3]);
    expect(arrays['head.weight']!.shape).toEqual([10, 64]);
    expect(arrays['stages.0.blocks.0.shortcut.conv.weight']).toBeUndefined();
  });

  it.each([28, 7])('gives logits for images of %i px, each image on its own', (size) => {
    const params = tensorsOf(initClassifier(CONFIG, keyFromSeed(1)));
    const x = images([3, 1, size, size]);
    const logits = classify(CONFIG, params, x);
    expect(logits.shape).toEqual([3, 3]);
    expect(features(CONFIG, params, x).shape).toEqual([3, 8]);
    const alone = classify(CONFIG, params, tf.slice(x, [1, 0, 0, 0], [1, 1, size, size]));
    expect(tf.max(tf.abs(tf.sub(alone, tf.slice(logits, [1, 0], [1, 3])))).dataSync()[0]).toBeLessThan(1e-5);
  });

  it('has gradients that finite differences confirm, for images and every parameter', () => {
    const params = tensorsOf(initClassifier(CONFIG, keyFromSeed(2)));
    const names = Object.keys(params);
    const labels = tf.oneHot([0, 2], 3).toFloat() as Tensor2D;
    const loss = (x: Tensor, ...values: Tensor[]) =>
      crossEntropy(
        classify(CONFIG, Object.fromEntries(names.map((name, i) => [name, values[i]!])), x as Tensor4D),
        labels,
      );
    const start = [images([2, 1, 8, 8]), ...Object.values(params)];
    for (const [i, gradient] of tf.grads(loss)(start).entries()) {
      const direction = tf.tensor(normal(keyFromSeed(50 + i), gradient.size), gradient.shape);
      const step = 1e-2 / Math.sqrt(gradient.size);
      const at = (sign: number) => {
        const moved = start.map((value, j) =>
          j === i ? tf.add(value, tf.mul(sign * step, direction)) : value,
        );
        return loss(moved[0]!, ...moved.slice(1)).dataSync()[0]!;
      };
      const slope = tf.sum(tf.mul(gradient, direction)).dataSync()[0]!;
      const difference = (at(1) - at(-1)) / (2 * step);
      expect(Math.abs(slope - difference), names[i - 1] ?? 'images').toBeLessThan(
        2e-3 + 0.02 * Math.abs(slope),
      );
    }
  });

  it('says what does not fit', () => {
    const params = tensorsOf(initClassifier(CONFIG, keyFromSeed(1)));
    expect(() => classify(CONFIG, params, images([1, 3, 8, 8]))).toThrow(/3 channels/);
    expect(() => initClassifier({ ...CONFIG, widths: [4, 7] }, keyFromSeed(1))).toThrow(
      /7 is not a multiple/,
    );
    expect(() => classify(CONFIG, {}, images([1, 1, 8, 8]))).toThrow(/'stem.conv.weight' is missing/);
  });
});

it('a cosine head does not depend on the lengths of features and weights', () => {
  const config = { channels: 1, classes: 2, widths: [8], blocksPerStage: 1, groups: 4, cosineScale: 30 };
  const params = initClassifier(config, keyFromSeed(1));
  expect(params['head.bias']).toBeUndefined();
  const x = tf.tensor4d(normal(keyFromSeed(2), 2 * 16), [2, 1, 4, 4]);
  const logitsOf = (scale: number) => {
    const tensors = Object.fromEntries(
      Object.entries(params).map(([name, { data, shape }]) => {
        const tensor = tf.tensor(Float32Array.from(data), [...shape]);
        return [name, name === 'head.weight' ? tf.mul(tensor, scale) : tensor];
      }),
    );
    return Array.from(classify(config, tensors, x).dataSync());
  };
  const logits = logitsOf(1);
  logitsOf(7).forEach((logit, i) => expect(logit).toBeCloseTo(logits[i]!, 4));
  expect(logits.every((logit) => Math.abs(logit) <= 30)).toBe(true);
});
