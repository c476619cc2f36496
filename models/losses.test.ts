import { describe, expect, it } from 'vitest';
import { keyFromSeed, normal } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { addNoise, minSnrWeight, targetOf, toX0 } from './denoiser.ts';
import type { Prediction } from './denoiser.ts';
import {
  crossEntropy,
  diffusionLoss,
  focalLoss,
  ldamMargins,
  logitAdjustment,
  marginLoss,
  weightedMean,
} from './losses.ts';

await tf.setBackend('cpu');

const PREDICTIONS: readonly Prediction[] = ['epsilon', 'x0', 'v'];

function value(scalar: Scalar): number {
  return scalar.dataSync()[0]!;
}

function random(seed: number, shape: number[]): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tf.tensor(normal(keyFromSeed(seed), size), shape);
}

/** Loss and gradient with padded rows equal those of the first `rows` rows alone. */
function expectMaskedEqualsSliced(
  rows: number,
  x: Tensor,
  lossOf: (x: Tensor, mask?: Tensor1D) => Scalar,
): void {
  const mask = tf.tensor1d(Array.from({ length: x.shape[0] }, (_, i) => (i < rows ? 1 : 0)));
  const masked = tf.valueAndGrad((input: Tensor) => lossOf(input, mask))(x);
  const sliced = tf.valueAndGrad((input: Tensor) => lossOf(input))(tf.slice(x, 0, rows));
  expect(value(masked.value)).toBeCloseTo(value(sliced.value), 5);
  const gradients = [tf.slice(masked.grad, 0, rows), sliced.grad].map((g) => Array.from(g.dataSync()));
  for (const [i, g] of gradients[0]!.entries()) expect(g).toBeCloseTo(gradients[1]![i]!, 6);
  expect(tf.sum(tf.abs(tf.slice(masked.grad, rows))).dataSync()[0]).toBe(0);
}

describe('crossEntropy', () => {
  const logits = tf.tensor2d([2, 0, 0, 1], [2, 2]);
  const labels = tf.tensor2d([1, 0, 1, 0], [2, 2]);

  it('has the values worked out by hand', () => {
    // log(1 + e⁻²) = 0.1269280, log(1 + e) = 1.3132617
    expect(value(crossEntropy(logits, labels))).toBeCloseTo((0.126928 + 1.3132617) / 2, 6);
    const weights = tf.tensor1d([1, 0.5]);
    expect(value(crossEntropy(logits, labels, { weights }))).toBeCloseTo((0.126928 + 0.5 * 1.3132617) / 2, 6);
    const mask = tf.tensor1d([0, 1]);
    expect(value(crossEntropy(logits, labels, { mask }))).toBeCloseTo(1.3132617, 6);
    expect(value(weightedMean(tf.tensor1d([3, 4]), { mask: tf.tensor1d([0, 0]) }))).toBe(0);
  });

  it('adjusts logits by class frequency', () => {
    // π = (3/4, 1/4): logits [0, 0] become log π, so the loss of class 0 is −log ¾ = 0.2876821
    const adjustment = tf.tensor1d(logitAdjustment([30, 10], 1));
    const zero = tf.tensor2d([[0, 0]]);
    expect(value(crossEntropy(zero, tf.tensor2d([[1, 0]]), { adjustment }))).toBeCloseTo(0.2876821, 6);
    expect(logitAdjustment([30, 10], 0)).toEqual([-0, -0]);
    expect(logitAdjustment([5, 0], 2).every(Number.isFinite)).toBe(true);
  });

  it('masked equals sliced', () => {
    const many = random(1, [5, 4]);
    const labels = tf.oneHot([2, 0, 1, 3, 3], 4).toFloat();
    const labelsOf = (n: number) => tf.slice(labels, 0, n) as Tensor2D;
    expectMaskedEqualsSliced(3, many, (z, mask) =>
      crossEntropy(z as Tensor2D, labelsOf(z.shape[0]), mask === undefined ? {} : { mask }),
    );
  });
});

describe('parameterisations', () => {
  const x0 = random(2, [2, 1, 2, 2]) as Tensor4D;
  const noise = random(3, [2, 1, 2, 2]) as Tensor4D;
  const angles = [0.3, 1.2];
  const perImage = (values: number[]) => tf.tensor(values, [2, 1, 1, 1]);
  const level = {
    t: perImage([0.2, 0.8]),
    a: perImage(angles.map(Math.cos)),
    s: perImage(angles.map(Math.sin)),
  };
  const x = addNoise(x0, noise, level);

  it.each(PREDICTIONS)('%s: the target gives back x0', (prediction) => {
    const back = toX0(prediction, targetOf(prediction, x0, noise, level), x, level);
    expect(tf.max(tf.abs(tf.sub(back, x0))).dataSync()[0]).toBeLessThan(2e-6);
  });

  it('min-SNR-5 weights, by hand', () => {
    // SNR 9: x0 5, v 5/10, ε 5/9. SNR 1: 1, 1/2, 1.
    const [clear, even] = [
      { a: Math.sqrt(0.9), s: Math.sqrt(0.1) },
      { a: Math.SQRT1_2, s: Math.SQRT1_2 },
    ];
    expect(minSnrWeight('x0', clear)).toBeCloseTo(5, 12);
    expect(minSnrWeight('v', clear)).toBeCloseTo(0.5, 12);
    expect(minSnrWeight('epsilon', clear)).toBeCloseTo(5 / 9, 12);
    expect(PREDICTIONS.map((prediction) => minSnrWeight(prediction, even))).toEqual([
      1,
      expect.closeTo(1, 12),
      expect.closeTo(0.5, 12),
    ]);
    // Only signal (SNR ∞): 5, 0, 0. Only noise (SNR 0): 0, 0, 1.
    const ends = [
      { a: 1, s: 0 },
      { a: 0, s: 1 },
    ];
    expect(ends.map((end) => minSnrWeight('x0', end))).toEqual([5, 0]);
    expect(ends.map((end) => minSnrWeight('v', end))).toEqual([0, 0]);
    expect(ends.map((end) => minSnrWeight('epsilon', end))).toEqual([0, 1]);
  });

  it('min-SNR weights make the three losses one and the same', () => {
    // One network, a guess at x0, expressed in each parameterisation.
    const guess = random(4, [2, 1, 2, 2]) as Tensor4D;
    const impliedNoise: Tensor4D = tf.div(tf.sub(x, tf.mul(level.a, guess)), level.s);
    const losses = PREDICTIONS.map((prediction) => {
      const output = targetOf(prediction, guess, impliedNoise, level);
      const weights = tf.tensor1d(
        angles.map((angle) => minSnrWeight(prediction, { a: Math.cos(angle), s: Math.sin(angle) })),
      );
      return value(diffusionLoss(prediction, output, x0, noise, level, { weights }));
    });
    expect(losses[1]! / losses[0]!).toBeCloseTo(1, 5);
    expect(losses[2]! / losses[0]!).toBeCloseTo(1, 5);
  });

  it('diffusion loss: the value worked out by hand, masked equals sliced', () => {
    const one = tf.scalar(1);
    const image = (values: number[]) => tf.tensor4d(values, [1, 1, 1, 2]);
    // x0-prediction, errors 1 and 3: (1 + 9)/2, weight 2
    const loss = diffusionLoss(
      'x0',
      image([1, 3]),
      image([0, 0]),
      image([9, 9]),
      { t: one, a: one, s: one },
      { weights: tf.tensor1d([2]) },
    );
    expect(value(loss)).toBeCloseTo(10, 6);
    const scalarLevel = { t: tf.scalar(0.5), a: tf.scalar(0.6), s: tf.scalar(0.8) };
    expectMaskedEqualsSliced(1, random(5, [2, 1, 2, 2]), (output, mask) => {
      const take = (images: Tensor4D) => tf.slice(images, 0, output.shape[0]);
      const options = mask === undefined ? {} : { mask };
      return diffusionLoss('v', output as Tensor4D, take(x0), take(noise), scalarLevel, options);
    });
  });
});

describe('focalLoss', () => {
  const logits = tf.tensor2d([2, 0, 0, 1], [2, 2]);
  const labels = tf.tensor2d([1, 0, 1, 0], [2, 2]);

  it('has the values worked out by hand', () => {
    // p = 0.8807971 and 0.2689414: (1 − p)²·(−ln p) = 0.0142093·0.126928 and 0.5344466·1.3132617
    expect(value(focalLoss(logits, labels, 2))).toBeCloseTo((0.0018036 + 0.7018683) / 2, 5);
    expect(value(focalLoss(logits, labels, 1))).toBeCloseTo((0.01513018 + 0.9600711) / 2, 5);
    expect(value(focalLoss(logits, labels, 0.5))).toBeCloseTo((0.0438232 + 1.1228677) / 2, 5);
  });

  it('is cross-entropy where γ is 0', () => {
    expect(value(focalLoss(logits, labels, 0))).toBeCloseTo(value(crossEntropy(logits, labels)), 6);
  });

  it('masked equals sliced', () => {
    const targets = tf.oneHot(tf.tensor1d([0, 1, 2, 0], 'int32'), 3);
    expectMaskedEqualsSliced(3, random(3, [4, 3]), (x, mask) => {
      const rows = tf.slice(targets, 0, x.shape[0]) as Tensor2D;
      return focalLoss(x as Tensor2D, tf.cast(rows, 'float32'), 2, mask === undefined ? {} : { mask });
    });
  });
});

describe('LDAM', () => {
  it('gives the smallest class the largest margin: counts 16, 1, 81 of 1/2, 1, 1/3', () => {
    const margins = ldamMargins([16, 1, 81], 0.5);
    [0.25, 0.5, 0.5 / 3].forEach((margin, c) => expect(margins[c]).toBeCloseTo(margin, 12));
  });

  it("lowers the label's logit by its margin", () => {
    // Logits 2, 0 with a margin of 2 for class 0: both 0, so the loss is ln 2; class 1 keeps ln(1 + e²) = 2.126928
    const logits = tf.tensor2d([2, 0, 2, 0], [2, 2]);
    const labels = tf.tensor2d([1, 0, 0, 1], [2, 2]);
    expect(value(marginLoss(logits, labels, [2, 0]))).toBeCloseTo((Math.LN2 + 2.126928) / 2, 6);
  });
});
