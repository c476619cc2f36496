import { expect, it } from 'vitest';
import { classRecalls, worstOf } from './class-recall.ts';
import { fakeMetrics } from './testing/fake-records.ts';

it('a class without images has no recall, and does not make the worst', () => {
  const metrics = { ...fakeMetrics([0.5, 1, 0]), perClassRecall: [0.5, 1, 0], confusion: [[1, 1, 0], [0, 2, 0], [0, 0, 0]] }; // prettier-ignore
  expect(classRecalls(metrics)).toEqual([0.5, 1, null]);
  expect(worstOf(classRecalls(metrics))).toBe(0.5);
  expect(worstOf([null])).toBe(0);
  expect(classRecalls({ ...metrics, perClassRecall: [0.5, null], confusion: [] })).toEqual([0.5, null]);
});
