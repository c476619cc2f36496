import { describe, expect, it } from 'vitest';
import { foldIn, keyFromSeed } from '../../tensor/random.ts';
import { drawShare, drawSymmetricBeta, mixRows } from './mixing.ts';

const key = keyFromSeed(1);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const draws = (count: number, draw: (i: number) => number) =>
  Array.from({ length: count }, (_, i) => draw(i));

describe('the share of the partner', () => {
  it('has the moments of Beta(α, α): mean 1/2, variance 1/(4(2α + 1))', () => {
    for (const alpha of [0.2, 1]) {
      const shares = draws(4000, (i) => drawSymmetricBeta(alpha, foldIn(key, i)));
      expect(mean(shares)).toBeCloseTo(0.5, 1);
      expect(mean(shares.map((share) => (share - 0.5) ** 2))).toBeCloseTo(1 / (4 * (2 * alpha + 1)), 2);
      expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
    }
  });

  it('has the mean α/(α + 1) of Beta(α, 1) when balanced', () => {
    const shares = draws(4000, (i) => drawShare({ kind: 'balanced', alpha: 0.1 }, foldIn(key, i)));
    expect(mean(shares)).toBeCloseTo(0.1 / 1.1, 1);
  });

  it('is keyed', () => {
    const draw = () => drawShare({ kind: 'mixup', alpha: 0.2 }, key);
    expect(draw()).toBe(draw());
  });
});

it('mixes rows with their partners', () => {
  const rows = Float32Array.of(0, 4, 8, 12);
  expect([...mixRows(rows, rows, [1, 0], 0.25)]).toEqual([2, 6, 6, 10]);
});
