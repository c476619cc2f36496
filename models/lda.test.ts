import { describe, expect, it } from 'vitest';
import tf from '../tensor/tf.ts';
import type { Denoiser } from './denoiser.ts';
import { shifted } from './guidance.ts';
import { blockOf, classShifts, classStatistics, RIDGE } from './lda.ts';
import { cosineLevel } from './schedule.ts';

await tf.setBackend('cpu');

// Two pixels, class means (0.3, −0.1) and (−0.1, 0.3), Σ = [[0.05, 0.02], [0.02, 0.04]]
const OFFSETS = [0.2, -0.2, -0.2, 0.2];
const COVARIANCE = [0.05, 0.02, 0.02, 0.04];
const MEAN = [0.1, 0.1];
const SIZE = { channels: 1, height: 1, width: 2 };
const STATISTICS = {
  size: SIZE,
  block: 1,
  offsets: Float32Array.from(OFFSETS),
  covariance: Float32Array.from(COVARIANCE),
};

/** E[x0 | x_t] of N(mean, Σ) by the two-by-two inverse, written out. */
function exactX0(mean: readonly number[], x: readonly number[], { a, s }: { a: number; s: number }) {
  const [p, q, , r] = COVARIANCE as [number, number, number, number];
  const [A, B, D] = [a * a * p + s * s, a * a * q, a * a * r + s * s];
  const det = A * D - B * B;
  const e = x.map((value, i) => value - a * mean[i]!);
  const solved = [(D * e[0]! - B * e[1]!) / det, (A * e[1]! - B * e[0]!) / det];
  return [mean[0]! + a * (p * solved[0]! + q * solved[1]!), mean[1]! + a * (q * solved[0]! + r * solved[1]!)];
}

describe('the shift makes an unlabelled Gaussian denoiser that of a class, exactly', () => {
  it.each([0.2, 0.5, 0.9])('at t = %f', (t) => {
    const level = cosineLevel(t);
    const x = [0.4, -0.3];
    const denoise: Denoiser = (input) =>
      tf.tensor4d(exactX0(MEAN, Array.from(input.dataSync()), level), [1, 1, 1, 2]);
    const shifts = classShifts(STATISTICS, level, 1);
    for (const y of [0, 1]) {
      const mean = MEAN.map((value, i) => value + OFFSETS[2 * y + i]!);
      const shift = tf.tensor4d(shifts.slice(2 * y, 2 * y + 2), [1, 1, 1, 2]);
      const scalars = { t: tf.scalar(t), a: tf.scalar(level.a), s: tf.scalar(level.s) };
      const actual = shifted(denoise, shift)(tf.tensor4d(x, [1, 1, 1, 2]), scalars).dataSync();
      exactX0(mean, x, level).forEach((value, i) => expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-6));
    }
  });

  it('is nothing at no noise and the whole offset at noise alone', () => {
    expect([...classShifts(STATISTICS, { a: 1, s: 0 }, 1)]).toEqual([0, -0, -0, 0]);
    classShifts(STATISTICS, { a: 0, s: 1 }, 1).forEach((value, i) =>
      expect(value).toBeCloseTo(OFFSETS[i]!, 6),
    );
  });

  it('grows with λ', () => {
    const once = classShifts(STATISTICS, cosineLevel(0.5), 1);
    classShifts(STATISTICS, cosineLevel(0.5), 2).forEach((value, i) =>
      expect(value).toBeCloseTo(2 * once[i]!, 6),
    );
  });
});

describe('classStatistics', () => {
  // Class 0 has (0.1, 0.3) and (0.3, 0.1), class 1 has (−0.2, −0.4): means (0.2, 0.2) and (−0.2, −0.4), their mean
  // (0, −0.1). Only class 0 has residuals, ∓(0.1, −0.1), each of weight 1/(2·2): Σ = ½·0.01·[[1, −1], [−1, 1]] + ridge.
  const images = Float32Array.from([0.1, 0.3, 0.3, 0.1, -0.2, -0.4]);
  it('weighs classes alike, whatever their size', () => {
    const { offsets, covariance } = classStatistics(images, [0, 0, 1], 2, SIZE);
    [0.2, 0.3, -0.2, -0.3].forEach((value, i) => expect(offsets[i]).toBeCloseTo(value, 6));
    [0.005 + RIDGE, -0.005, -0.005, 0.005 + RIDGE].forEach((value, i) =>
      expect(covariance[i]).toBeCloseTo(value, 7),
    );
  });

  it('leaves a class without images where the others are', () => {
    const { offsets } = classStatistics(images, [0, 0, 2], 3, SIZE);
    expect([...offsets.slice(2, 4)]).toEqual([0, 0]);
    expect(offsets[0]).toBeCloseTo(0.2, 6);
  });

  it('refuses labels that are not as many as the images', () => {
    expect(() => classStatistics(images, [0], 2, SIZE)).toThrow(RangeError);
  });
});

describe('large images', () => {
  it('are averaged over the smallest block that leaves 1,024 values', () => {
    expect(blockOf({ channels: 1, height: 28, width: 28 })).toBe(1);
    expect(blockOf({ channels: 3, height: 32, width: 32 })).toBe(2);
    expect(blockOf({ channels: 3, height: 64, width: 64 })).toBe(4);
    expect(blockOf({ channels: 3, height: 224, width: 224 })).toBe(14);
  });

  it('give a shift that is interpolated between the centres of blocks', () => {
    const size = { channels: 1, height: 64, width: 64 };
    const statistics = classStatistics(
      Float32Array.from({ length: 2 * 4096 }, (_, i) => (i < 4096 ? (i % 64) / 64 : 0)),
      [0, 1],
      2,
      size,
    );
    expect(statistics.block).toBe(2);
    const shift = classShifts(statistics, { a: 0, s: 1 }, 1).subarray(0, 64);
    // offset of class 0: half its mean; blocks of two pixels have means (2j + ½)/64, pixel x is at (x + ½)/2 − ½
    const expected = (x: number) => (0.5 * Math.min(62.5, Math.max(0.5, x))) / 64;
    [0, 1, 2, 31, 62, 63].forEach((x) => expect(shift[x]).toBeCloseTo(expected(x), 6));
  });
});
