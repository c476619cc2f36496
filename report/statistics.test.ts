import { expect, test } from 'vitest';
import { meanByPosition, meanInterval, proportionInterval, summarize } from './statistics.ts';

test('mean and sample deviation: 1, 2, 3, 4 by hand (2.5 and √(5/3))', () => {
  const { n, mean, deviation } = summarize([1, 2, null, 3, NaN, 4]);
  expect([n, mean]).toEqual([4, 2.5]);
  expect(deviation).toBeCloseTo(1.2909944, 6);
  expect(summarize([5])).toEqual({ n: 1, mean: 5, deviation: null });
  expect(summarize([])).toEqual({ n: 0, mean: NaN, deviation: null });
});

test('t interval: 1, 2, 3 gives 2 ± 4.303/√3 (t table, two degrees of freedom)', () => {
  const interval = meanInterval(summarize([1, 2, 3]));
  expect(interval?.low).toBeCloseTo(2 - 2.484338, 5);
  expect(interval?.high).toBeCloseTo(2 + 2.484338, 5);
  expect(meanInterval(summarize([1]))).toBeNull();
});

test('Wilson interval: 8 of 10 is 0.7167 ± 0.2266, so [0.4902, 0.9433] (the formula worked by hand)', () => {
  const interval = proportionInterval(8, 10);
  expect(interval?.low).toBeCloseTo(0.4902, 4);
  expect(interval?.high).toBeCloseTo(0.9433, 4);
  expect(proportionInterval(0, 20)?.low).toBe(0);
  expect(proportionInterval(0, 0)).toBeNull();
});

test('means by position skip what is missing', () => {
  expect(
    meanByPosition([
      [1, null, 3],
      [3, null],
    ]),
  ).toEqual([2, null, 3]);
});
