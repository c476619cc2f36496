import { describe, expect, it } from 'vitest';
import tf from '../tensor/tf.ts';
import type { Tensor2D, Tensor4D } from '../tensor/tf.ts';
import type { Denoiser } from './denoiser.ts';
import { advance } from './guided-step.ts';
import { samplerSteps } from './sampler.ts';
import type { SamplerName, SamplerStep } from './sampler.ts';
import { cosineLevel, ddimLevels, discreteLevels, linearBetas, uniformLevels } from './schedule.ts';
import type { NoiseLevel } from './schedule.ts';

await tf.setBackend('cpu');

// Data ~ N(MEAN, Q·diag(VARIANCES)·Qᵀ), Q a rotation by 0.6 rad.
const MEAN = [0.3, -0.5];
const VARIANCES = [1.6, 0.09];
const Q = [
  [Math.cos(0.6), -Math.sin(0.6)],
  [Math.sin(0.6), Math.cos(0.6)],
];
const COVARIANCE = rotated(VARIANCES);

/** Q·diag(values)·Qᵀ. */
function rotated(values: readonly number[]): number[][] {
  return [0, 1].map((i) =>
    [0, 1].map((j) => Q[i]![0]! * values[0]! * Q[j]![0]! + Q[i]![1]! * values[1]! * Q[j]![1]!),
  );
}

/** E[x0 | x_t] = m + aΣ(a²Σ + s²I)⁻¹(x_t − a·m), in Σ's eigenbasis. */
const exactDenoiser: Denoiser = (x, { a, s }) => {
  const mean = tf.tensor2d([MEAN]);
  const basis = tf.tensor2d(Q);
  const variances = tf.tensor2d([VARIANCES]);
  const gain = tf.div(tf.mul(a, variances), tf.add(tf.mul(tf.square(a), variances), tf.square(s)));
  const centred: Tensor2D = tf.sub(tf.reshape(x, [-1, 2]), tf.mul(a, mean));
  const along: Tensor2D = tf.mul(tf.matMul(centred, basis), gain);
  return tf.reshape(tf.add(mean, tf.matMul(along, basis, false, true)), x.shape);
};

/** The sampler's affine map x ↦ M·x + b on this data, read off at 0 and the unit vectors. */
function affineMap(sampler: SamplerName, levels: NoiseLevel[]): { matrix: number[][]; offset: number[] } {
  let x: Tensor4D = tf.tensor4d([0, 0, 1, 0, 0, 1], [3, 1, 1, 2]);
  let previousX0 = tf.zerosLike(x);
  for (const step of samplerSteps(sampler, levels)) {
    const [t, a, s] = [tf.scalar(step.t), tf.scalar(step.a), tf.scalar(step.s)];
    const [cX, cD, cP] = [tf.scalar(step.cX), tf.scalar(step.cD), tf.scalar(step.cP)];
    ({ x, x0: previousX0 } = advance(exactDenoiser, { x, previousX0, t, a, s, cX, cD, cP }));
  }
  const [o0, o1, p0, p1, q0, q1] = Array.from(x.dataSync()) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    offset: [o0, o1],
    matrix: [
      [p0 - o0, q0 - o0],
      [p1 - o1, q1 - o1],
    ],
  };
}

function expectClose(actual: number[][], expected: number[][], tolerance: number): void {
  for (const [i, row] of expected.entries())
    for (const [j, value] of row.entries())
      expect(Math.abs(actual[i]![j]! - value), `${i},${j}`).toBeLessThan(tolerance);
}

/** M·Mᵀ: the covariance of M·x for standard normal x. */
function squared(matrix: number[][]): number[][] {
  return [0, 1].map((i) =>
    [0, 1].map((j) => matrix[i]![0]! * matrix[j]![0]! + matrix[i]![1]! * matrix[j]![1]!),
  );
}

/** Deviation of the samples along an eigenvector of variance v, by the table alone, in float64. */
function deviation(sampler: SamplerName, levels: NoiseLevel[], v: number): number {
  let [x, previous] = [1, 0];
  for (const { a, s, cX, cD, cP } of samplerSteps(sampler, levels)) {
    const x0 = (a * v * x) / (a * a * v + s * s);
    [x, previous] = [cX * x + cD * x0 + cP * previous, x0];
  }
  return x;
}

describe('DDIM on Gaussian data', () => {
  // Along an eigenvector of variance v let u = (s, √v·a). A step multiplies by u·u'/|u|² = |u'|/|u|·cos δ with δ
  // the angle between u and u', so the deviation ends at √v·Π cos δ, and the mean is exact.
  const shrinkage = (levels: NoiseLevel[], v: number) =>
    levels.slice(1).reduce((product, level, i) => {
      const angle = ({ a, s }: NoiseLevel) => Math.atan2(s, Math.sqrt(v) * a);
      return product * Math.cos(angle(levels[i]!) - angle(level));
    }, 1);

  it.each([5, 30])('has the derived mean and covariance after %i steps', (steps) => {
    const levels = uniformLevels(1, steps);
    const { matrix, offset } = affineMap('ddim', levels);
    expectClose([offset], [MEAN], 2e-6);
    expectClose(matrix, rotated(VARIANCES.map((v) => Math.sqrt(v) * shrinkage(levels, v))), 5e-6);
  });

  it('reproduces the data within the tolerance Σδ² that the derivation gives', () => {
    const levels = uniformLevels(1, 200);
    const { matrix } = affineMap('ddim', levels);
    const tolerance = Math.max(...VARIANCES.map((v) => v * (1 - shrinkage(levels, v) ** 2)));
    expect(tolerance).toBeLessThan(0.03);
    expectClose(squared(matrix), COVARIANCE, tolerance + 1e-5);
  });

  it('does so on the discrete linear schedule from its noisiest level', () => {
    const levels = ddimLevels(discreteLevels(linearBetas()), 250);
    const { matrix, offset } = affineMap('ddim', levels);
    expectClose(squared(matrix), COVARIANCE, 0.03);
    expectClose([offset], [MEAN], 0.01); // x starts at 0 instead of a·mean, a = 0.0066
  });
});

describe('DPM-Solver++(2M) on Gaussian data', () => {
  it('reproduces mean and covariance with a tenth of the steps', () => {
    const { matrix, offset } = affineMap('dpmpp-2m', uniformLevels(1, 20));
    expectClose(squared(matrix), COVARIANCE, 0.03);
    expectClose([offset], [MEAN], 2e-6);
  });

  it.each(VARIANCES)('is of second order, DDIM of first (variance %f)', (v) => {
    // From t = 0.9 to t = 0.1 the exact flow multiplies by the ratio of √(a²v + s²).
    const [first, last] = [cosineLevel(0.9), cosineLevel(0.1)];
    const size = ({ a, s }: NoiseLevel) => Math.sqrt(a * a * v + s * s);
    const error = (sampler: SamplerName, steps: number) => {
      const levels = Array.from({ length: steps + 1 }, (_, i) => cosineLevel(0.9 - (0.8 * i) / steps));
      return Math.abs(deviation(sampler, levels, v) - size(last) / size(first));
    };
    expect(error('dpmpp-2m', 400) / error('dpmpp-2m', 800)).toBeGreaterThan(3.7);
    expect(error('dpmpp-2m', 400) / error('dpmpp-2m', 800)).toBeLessThan(4.3);
    expect(error('ddim', 400) / error('ddim', 800)).toBeGreaterThan(1.95);
    expect(error('ddim', 400) / error('ddim', 800)).toBeLessThan(2.05);
  });
});

describe('the table', () => {
  it('has the coefficients worked out by hand', () => {
    // t = 2/3, 1/2, 1/3: (a, s) = (1/2, √3/2), (√½, √½), (√3/2, 1/2), so λ = −½ln 3, 0, ½ln 3 and r = 1.
    const levels = [2 / 3, 1 / 2, 1 / 3].map(cosineLevel);
    const [, ddim] = samplerSteps('ddim', levels);
    const [first, second] = samplerSteps('dpmpp-2m', levels);
    const cD = (Math.sqrt(3) - 1) / 2;
    const expectStep = (step: SamplerStep | undefined, expected: readonly number[]) => {
      for (const [i, c] of [step!.cX, step!.cD, step!.cP].entries()) expect(c).toBeCloseTo(expected[i]!, 12);
    };
    expectStep(ddim, [Math.SQRT1_2, cD, 0]);
    expectStep(second, [Math.SQRT1_2, 1.5 * cD, -0.5 * cD]);
    expect(first).toEqual(samplerSteps('ddim', levels)[0]);
  });

  it('ends at x̂0 and stays finite from pure noise', () => {
    for (const sampler of ['ddim', 'dpmpp-2m'] as const) {
      const steps = samplerSteps(sampler, uniformLevels(1, 7));
      expect(steps).toHaveLength(7);
      expect(steps.flatMap(({ cX, cD, cP }) => [cX, cD, cP]).every(Number.isFinite)).toBe(true);
      expect(steps.at(-1)).toMatchObject({ cX: 0, cD: 1, cP: 0 });
      expect(steps[0]).toMatchObject({ t: 1, cP: 0 });
    }
  });

  it('refuses levels whose noise does not fall', () => {
    expect(() => samplerSteps('ddim', [cosineLevel(0.2), cosineLevel(0.4)])).toThrow(RangeError);
    expect(() => samplerSteps('ddim', [cosineLevel(0.2)])).toThrow(RangeError);
  });
});
