import { expect, it } from 'vitest';
import { float32, sizeOf, zeros } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { sgd } from '../tensor/optimizer.ts';
import { keyFromSeed, normal } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import { classify, initClassifier } from './classifier.ts';
import { crossEntropy } from './losses.ts';
import { classifierStep, initialState, partsOf } from './training-step.ts';

it('cuts batches of large images into parts, eight rows or more', () => {
  const partsFor = (n: number, size: number) => partsOf([n, 3, size, size]).length;
  expect(partsFor(64, 14)).toBe(1);
  expect(partsFor(64, 28)).toBe(2);
  expect(partsFor(64, 64)).toBe(4);
  expect(partsFor(16, 64)).toBe(2);
  expect(partsFor(60, 64)).toBe(1);
});

it('gives the loss and the gradient of the whole batch, masked and weighted', async () => {
  const [n, size] = [16, 64];
  const network = { channels: 1, classes: 2, widths: [8], blocksPerStage: 1, groups: 4 };
  const params = initClassifier(network, keyFromSeed(0));
  const shape = [n, 1, size, size];
  const labels = zeros([n, 2]);
  for (let i = 0; i < n; i++) labels.data[2 * i + (i % 3 === 0 ? 1 : 0)] = 1;
  const batch = {
    images: float32(shape, normal(keyFromSeed(1), sizeOf(shape))),
    labels,
    mask: float32(
      [n],
      Array.from({ length: n }, (_, i) => (i < 11 ? 1 : 0)),
    ),
    weights: float32(
      [n],
      Array.from({ length: n }, (_, i) => 1 + i / n),
    ),
    adjustment: float32([2], [0.5, 0]),
  };
  const optimizer = sgd({ momentum: 0 });
  const state = initialState(params, optimizer);
  const scalars = { learningRate: float32([], [1]), averageDecay: float32([], [0]) };
  const inputs = { state, batch, scalars };
  const step = await compile(classifierStep(network, { optimizer, clipNorm: Infinity }), specOf(inputs));
  const whole = await compile(({ params, batch }) => {
    const names = Object.keys(params);
    const { value, grads } = tf.valueAndGrads((...tensors: Tensor[]) => {
      const at = Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
      const { mask, weights, adjustment } = batch;
      const logits = classify(network, at, batch.images as Tensor4D);
      const options = { mask: mask as Tensor1D, weights: weights as Tensor1D, adjustment };
      return crossEntropy(logits, batch.labels as Tensor2D, options);
    })(Object.values(params));
    const descended = names.map((name, i) => [name, tf.sub(params[name]!, grads[i]!)] as const);
    return { loss: value, params: Object.fromEntries(descended) };
  }, specOf({ params, batch }));
  const actual = await step.run(inputs);
  const expected = await whole.run({ params, batch });
  expect(actual.loss.data[0]).toBeCloseTo(Number(expected.loss.data[0]), 5);
  for (const [name, { data }] of Object.entries(expected.params))
    data.forEach((value, i) => expect(actual.params[name]!.data[i], name).toBeCloseTo(Number(value), 4));
});
