import { expect, it } from 'vitest';
import { effectiveNumberWeights, inverseFrequencyWeights } from './class-weights.ts';

it('inverse frequency: 1/6, 1/3, 1 of mean 1/2', () => {
  const weights = inverseFrequencyWeights([6, 3, 1]);
  [1 / 3, 2 / 3, 2].forEach((weight, c) => expect(weights[c]).toBeCloseTo(weight, 12));
});

it('effective number with β = 1/2, by hand: (1/2)/(1 − 2^−n) is 1, 2/3, 4/7 for n = 1, 2, 3, of mean 47/63', () => {
  const weights = effectiveNumberWeights([1, 2, 3], 0.5);
  [63 / 47, 42 / 47, 36 / 47].forEach((weight, c) => expect(weights[c]).toBeCloseTo(weight, 12));
});
