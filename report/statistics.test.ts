import { expect, test } from 'vitest';
import type { ComparisonReport, MethodReport } from './records.ts';
import {
  groupByMethod,
  meanByPosition,
  meanInterval,
  pairedDifference,
  proportionInterval,
  referenceMethod,
  summarize,
} from './statistics.ts';
import { fakeMethodReport } from './testing/fake-records.ts';

function run(method: string, seed: number, balancedAccuracy: number): MethodReport {
  return { ...fakeMethodReport({ method, seed, epochs: 1 }), balancedAccuracy };
}

function comparison(methods: readonly MethodReport[]): ComparisonReport {
  return { title: 't', classes: ['a'], classCounts: [1], methods };
}

const balanced = (report: MethodReport): number => report.balancedAccuracy;

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

test('differences pair equal seeds only', () => {
  const groups = groupByMethod(
    comparison([
      run('erm', 1, 0.6),
      run('iois', 2, 0.74),
      run('erm', 2, 0.62),
      run('iois', 1, 0.7),
      run('iois', 9, 0.99),
    ]),
  );
  expect(groups.map(({ method, runs }) => [method, runs.length])).toEqual([
    ['erm', 2],
    ['iois', 3],
  ]);
  const reference = referenceMethod(groups);
  expect(reference?.method).toBe('erm');
  const difference = pairedDifference(groups[1]!, groups[0]!, balanced);
  expect(difference?.n).toBe(2);
  expect(difference?.mean).toBeCloseTo(0.11, 12);
  expect(difference?.deviation).toBeCloseTo(0.0141421, 6);
});

test('no partner, no difference; one method, no reference', () => {
  const groups = groupByMethod(comparison([run('erm', 1, 0.6), run('iois', 2, 0.7)]));
  expect(pairedDifference(groups[1]!, groups[0]!, balanced)).toBeNull();
  expect(referenceMethod(groups.slice(0, 1))).toBeNull();
});

test('means by position skip what is missing', () => {
  expect(
    meanByPosition([
      [1, null, 3],
      [3, null],
    ]),
  ).toEqual([2, null, 3]);
});
