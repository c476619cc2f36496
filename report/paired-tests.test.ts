import { expect, test } from 'vitest';
import { holm, signFlipP } from './paired-tests.ts';

test('sign flips, by hand', () => {
  expect(signFlipP([1, 2, 3])).toBe(2 / 8); // only +++ and −−− reach 6
  expect(signFlipP([1, 1, -1])).toBe(1); // every pattern sums to ±1 or ±3
  expect(signFlipP([3, 2, -1])).toBe(4 / 8); // |sums| of 3, 2, 1: 6, 4, 2, 0, each twice; 4 or more
  expect(signFlipP([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])).toBe(2 / 64);
  expect(signFlipP([0, 0])).toBe(1);
  expect(signFlipP([])).toBeNull();
});

test('Holm, by hand: .01, .02, .03, .04 become .04, .06, .06, .06', () => {
  const adjusted = holm([0.04, 0.01, null, 0.03, 0.02]);
  expect(adjusted[2]).toBeNull();
  [0.06, 0.04, null, 0.06, 0.06].forEach((p, i) => {
    if (p !== null) expect(adjusted[i]).toBeCloseTo(p, 12);
  });
  expect(holm([0.9, 0.8])).toEqual([1, 1]);
});
