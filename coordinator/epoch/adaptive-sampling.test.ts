import { describe, expect, it } from 'vitest';
import { integers, keyFromSeed, foldIn, permutation, uniform } from '../../tensor/random.ts';
import { decideQuota, releasedQuota, softmax, type AdaptiveSamplingOptions } from './adaptive-sampling.ts';
import { INITIAL_SAMPLING_STATE } from '../records/run-state.ts';

const OURS: AdaptiveSamplingOptions = {
  rule: 'softmax',
  temperature: 0.2,
  smoothing: 0.5,
  floor: 0,
  cap: null,
};

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('releasedQuota', () => {
  it('is floor(N·softmax(1 − a)), by hand', () => {
    // a = (1, 0.5, 0): e^0, e^0.5, e^1 = 1, 1.6487, 2.7183; sum 5.3670; shares 0.18632, 0.30720, 0.50648.
    expect(releasedQuota([1, 0.5, 0], 2000)).toEqual([372, 614, 1012]);
  });

  it('is floor(N/C) of each class before the first epoch', () => {
    // HAM10000: 7 classes, N 2000: 285.71.
    expect(releasedQuota(new Array<number>(7).fill(0.5), 2000)).toEqual([285, 285, 285, 285, 285, 285, 285]);
  });

  it('never gives the worst class more than e times the best', () => {
    const [best, worst] = releasedQuota([1, 0], 100_000);
    expect(worst! / best!).toBeLessThanOrEqual(Math.E + 1e-3);
  });
});

describe('decideQuota', () => {
  it('shares the budget out evenly before anything is measured, to the last image', () => {
    const decision = decideQuota({
      options: OURS,
      budget: 600,
      classCounts: [2000, 1200, 700, 300, 100, 60, 20],
      accuracy: null,
      state: INITIAL_SAMPLING_STATE,
    });
    expect(decision.quota).toEqual([86, 86, 86, 86, 86, 85, 85]); // 600 / 7 = 85.71: 7·85 + 5
    expect(decision.accuracy).toEqual(new Array<number>(7).fill(0.5));
    expect(decision.state).toEqual(INITIAL_SAMPLING_STATE);
  });

  it('sharpens with the temperature, by hand', () => {
    // T = 0.2, a = (1, 0.8, 0.6): e^0, e^1, e^2 = 1, 2.71828, 7.38906; sum 11.10734; of 100: 9.003, 24.473, 66.524.
    const { quota } = decideQuota({
      options: OURS,
      budget: 100,
      classCounts: [10, 10, 10],
      accuracy: [1, 0.8, 0.6],
      state: INITIAL_SAMPLING_STATE,
    });
    expect(quota).toEqual([9, 24, 67]); // remainders 0.003, 0.473, 0.524: the last image goes to the third
  });

  it('smooths accuracy over epochs, the first measurement whole', () => {
    const input = { options: { ...OURS, smoothing: 0.75 }, budget: 10, classCounts: [5, 5] };
    const first = decideQuota({ ...input, accuracy: [0.4, 1], state: INITIAL_SAMPLING_STATE });
    expect(first.state.smoothedAccuracy).toEqual([0.4, 1]);
    const second = decideQuota({ ...input, accuracy: [0.8, 0], state: first.state });
    expect(second.state.smoothedAccuracy).toEqual([0.5, 0.75]); // 0.75·0.4 + 0.25·0.8; 0.75·1
    expect(second.accuracy).toEqual([0.5, 0.75]);
  });

  it('does not smooth the released rule', () => {
    const decision = decideQuota({
      options: { ...OURS, rule: 'released' },
      budget: 2000,
      classCounts: [5, 5, 5],
      accuracy: [1, 0.5, 0],
      state: { smoothedAccuracy: [0, 0, 0] },
    });
    expect(decision.quota).toEqual([372, 614, 1012]);
  });

  it('gives by 1/n for inverse frequency, and evenly for uniform', () => {
    const input = {
      budget: 110,
      classCounts: [100, 10],
      accuracy: null,
      state: INITIAL_SAMPLING_STATE,
    };
    expect(decideQuota({ ...input, options: { ...OURS, rule: 'inverse-frequency' } }).quota).toEqual([
      10, 100,
    ]);
    expect(decideQuota({ ...input, options: { ...OURS, rule: 'uniform' } }).quota).toEqual([55, 55]);
  });

  it('refuses accuracies that are none', () => {
    const input = { options: OURS, budget: 10, classCounts: [5, 5], state: INITIAL_SAMPLING_STATE };
    expect(() => decideQuota({ ...input, accuracy: [0.5] })).toThrow('1 accuracies for 2 classes');
    expect(() => decideQuota({ ...input, accuracy: [0.5, NaN] })).toThrow('accuracy of class 1 is NaN');
    expect(() => decideQuota({ ...input, accuracy: [1.5, 0] })).toThrow('not in [0, 1]');
  });
});

describe('softmax', () => {
  it('survives large values', () => {
    expect(softmax([1000, 1000])).toEqual([0.5, 0.5]);
  });
});

describe('any quota of the softmax rule', () => {
  // Accuracies are distinct: equal shares would be rounded by index.
  const cases = Array.from({ length: 200 }, (_, i) => {
    const key = foldIn(keyFromSeed(7), i);
    const classes = 2 + integers(foldIn(key, 'classes'), 1, 12)[0]!;
    const [budget, floor, room] = integers(foldIn(key, 'sizes'), 3, 900);
    const low = Math.min(floor!, Math.floor(budget! / classes));
    const cap = i % 2 === 0 ? null : Math.ceil(budget! / classes) + room!;
    const accuracy = [...uniform(foldIn(key, 'accuracy'), classes)];
    return { key, budget: budget!, floor: low, cap, accuracy };
  });

  it.each(cases)(
    'sums to the budget, keeps its limits, favours low accuracy and follows a permutation (%#)',
    (sample) => {
      const quotaFor = (accuracy: readonly number[]) =>
        decideQuota({
          options: { ...OURS, floor: sample.floor, cap: sample.cap },
          budget: sample.budget,
          classCounts: accuracy.map(() => 10),
          accuracy,
          state: INITIAL_SAMPLING_STATE,
        }).quota;
      const quota = quotaFor(sample.accuracy);
      expect(sum(quota)).toBe(sample.budget);
      for (const n of quota) {
        expect(n).toBeGreaterThanOrEqual(sample.floor);
        expect(n).toBeLessThanOrEqual(sample.cap ?? Infinity);
      }
      sample.accuracy.forEach((a, i) =>
        sample.accuracy.forEach((b, j) => {
          if (a < b) expect(quota[i]).toBeGreaterThanOrEqual(quota[j]!);
        }),
      );
      const order = [...permutation(foldIn(sample.key, 'order'), quota.length)];
      expect(quotaFor(order.map((c) => sample.accuracy[c]!))).toEqual(order.map((c) => quota[c]));
    },
  );
});
