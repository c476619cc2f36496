import { describe, expect, it } from 'vitest';
import { frechetDistance, isNearer, precisionRecall } from './feature-distances.ts';

const features = (...rows: number[][]) => ({ values: rows.flat(), columns: rows[0]!.length });

describe('frechetDistance', () => {
  it('of one set with itself is nothing', () => {
    const set = features([1, 2], [3, 1], [0, 5], [2, 2]);
    expect(Math.abs(frechetDistance(set, set))).toBeLessThan(1e-9);
  });

  it('in one dimension is (μ₁ − μ₂)² + (σ₁ − σ₂)²', () => {
    // means 1 and 5, variances 2 and 8: 16 + (√8 − √2)² = 16 + 2
    expect(frechetDistance(features([0], [2]), features([3], [7]))).toBeCloseTo(18, 9);
  });

  it('counts covariance that does not commute', () => {
    // Σ₁ = diag(2, 0.5) and Σ₂ = [[1.25, 0.75], [0.75, 1.25]], both of trace 2.5 and determinant 1. The trace of the root
    // of a 2×2 matrix M is √(tr M + 2√det M), here with tr Σ₁Σ₂ = 2.5 + 0.625: 5 − 2·√(3.125 + 2)
    const [u, v] = [Math.sqrt(1.5), Math.sqrt(0.375)]; // four points, divided by three
    const axes = [[u, v], [-u, -v], [u, -v], [-u, v]]; // prettier-ignore
    const turned = axes.map(([x, y]) => [(x! - y!) / Math.SQRT2, (x! + y!) / Math.SQRT2]);
    expect(frechetDistance(features(...axes), features(...turned))).toBeCloseTo(5 - 2 * Math.sqrt(5.125), 9);
  });

  it('refuses sets of other features, or of one image', () => {
    expect(() => frechetDistance(features([1, 2], [2, 1]), features([1], [2]))).toThrow(RangeError);
    expect(() => frechetDistance(features([1]), features([1], [2]))).toThrow(RangeError);
  });
});

it('precision and recall are shares inside the balls of the other set', () => {
  // real 0, 1, 2, 10 with k = 1: radii 1, 1, 1, 8. Made 1.5 and 3 lie inside (3 in the ball of 10), 50 does not.
  // made 1.5, 3, 50 with radii 1.5, 1.5, 47: real 0, 1, 2 lie inside the ball of 1.5 or 3, and 10 in that of 50.
  const { precision, recall } = precisionRecall(features([0], [1], [2], [10]), features([1.5], [3], [50]), 1);
  expect(precision).toBeCloseTo(2 / 3, 12);
  expect(recall).toBe(1);
});

it('coverage compares the distance to the set with the distance to the training images', () => {
  // Unseen 0, 4, 9 and 20. Training 1 and 10, the set 3.5 and 30: only 4 (0.5 against 3) is nearer to the set; for 20
  // both are 10 away, which is not nearer.
  const [unseen, training] = [features([0], [4], [9], [20]), features([1], [10])];
  expect(isNearer(unseen, features([3.5], [30]), training)).toEqual([false, true, false, false]);
  expect(isNearer(unseen, training, training)).toEqual([false, false, false, false]);
  expect(isNearer(unseen, { values: [], columns: 1 }, training)).toEqual([false, false, false, false]);
});
