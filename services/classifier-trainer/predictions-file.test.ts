import { expect, it } from 'vitest';
import { parse } from 'csv-parse/sync';
import { encodePredictions, refusePredictions } from './predictions-file.ts';

it('is CSV that a reader takes apart into the same names and numbers', () => {
  const text = encodePredictions({
    ids: ['a/1.png', 'b "x", y.png'],
    labels: [1, 0],
    classes: ['mole, benign', 'melanoma'],
    probabilities: [0.25, 0.75, 1e-9, 1 / 3],
  });
  expect(parse(text)).toEqual([
    ['image', 'label', 'mole, benign', 'melanoma'],
    ['a/1.png', 'melanoma', '0.25', '0.75'],
    ['b "x", y.png', 'mole, benign', '1e-9', '0.3333333'],
  ]);
});

it('leaves out a file of more than twenty million probabilities, and reports it', () => {
  expect(refusePredictions('test', 10_000, 2000)).toBeNull();
  expect(refusePredictions('test', 10_000, 10_000)).toBe(
    'predictions-test.csv will be left out: 10000 images of 10000 classes make 100,000,000 probabilities, above 20,000,000',
  );
});
