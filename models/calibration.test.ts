import { expect, it } from 'vitest';
import { fitTemperature, scaled } from './calibration.ts';
import { argmaxRows, negativeLogLikelihood, softmaxRows } from './metrics.ts';

// Ten images that the classifier is alike sure of, eight of them right: the best confidence is 0.8, which logits
// (4, 0)/T have at 4/T = log 4.
const logits = { values: Array<number[]>(10).fill([4, 0]).flat(), columns: 2 };
const labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];

it('finds the temperature at which confidence is accuracy', () => {
  const temperature = fitTemperature(logits, labels);
  expect(Math.abs(temperature - 4 / Math.log(4))).toBeLessThan(1e-6);
  const probabilities = softmaxRows(scaled(logits, temperature)).values;
  expect(Math.abs(probabilities[0]! - 0.8)).toBeLessThan(1e-7);
});

it('stays within its range where no confidence is too much, or none small enough', () => {
  // below 0.11 the loss is 0 in float64, so any such temperature is as good
  expect(fitTemperature(logits, new Array<number>(10).fill(0))).toBeLessThan(0.12);
  expect(fitTemperature(logits, new Array<number>(10).fill(0))).toBeGreaterThanOrEqual(0.05);
  expect(fitTemperature(logits, new Array<number>(10).fill(1))).toBeCloseTo(20, 4);
});

it('finds the least loss of several classes: no temperature near by has less', () => {
  const values = Array.from({ length: 60 }, (_, i) => 3 * Math.sin(7 * i));
  const several = { values, columns: 3 };
  const truth = Array.from({ length: 20 }, (_, i) => (i % 4 === 0 ? 1 : argmaxRows(several)[i]!));
  const best = fitTemperature(several, truth);
  const loss = (temperature: number) =>
    negativeLogLikelihood(softmaxRows(scaled(several, temperature)), truth);
  expect(best).toBeGreaterThan(0.06);
  expect(best).toBeLessThan(19);
  for (const factor of [0.5, 0.999, 1.001, 2]) expect(loss(best * factor)).toBeGreaterThan(loss(best));
});
