// Images of one grey pixel, whose only feature is its value, so that every number can be worked out by hand.
import { expect, it } from 'vitest';
import type { Dataset } from '../data/dataset.ts';
import { Reference } from './fidelity-measures.ts';
import type { Batch } from './fidelity-measures.ts';

const set = (values: readonly number[], labels: readonly number[]): Batch => ({
  images: Uint8Array.from(values),
  labels: Int32Array.from(labels),
});
const named = (batch: Batch) => ({ ...batch, ids: Array.from(batch.labels, String), groups: null });

/** Five training images of the first class; two and one of the others, which are the tail. */
const dataset: Dataset = {
  name: 'pixels',
  classes: ['common', 'rare', 'rarest'],
  ...{ height: 1, width: 1, channels: 1 },
  train: named(set([0, 1, 2, 3, 4, 100, 110, 200], [0, 0, 0, 0, 0, 1, 1, 2])),
  ...{ validation: null, test: null, development: null, archive: null },
  ...{ digest: '', skipped: [], freshCount: 0, warnings: [] },
};
/** The first class below 50, the second below 150. */
const judge = {
  classes: (images: Uint8Array) =>
    Promise.resolve(Int32Array.from(images, (value) => (value < 50 ? 0 : value < 150 ? 1 : 2))),
  features: (images: Uint8Array) => Promise.resolve({ values: Array.from(images), columns: 1 }),
};

it('measures fidelity, coverage and distance, for all and for each class', async () => {
  const unseen = set([1, 2, 105, 130, 190, 160], [0, 0, 1, 1, 2, 2]);
  const reference = await Reference.open(dataset, unseen, judge, 5);
  // 60 was made for the first class and is not of it; 165 for the second; 130 covers nothing for the tail, being of the first.
  const found = await reference.measure(set([1, 60, 130, 104, 165, 199], [0, 0, 0, 1, 1, 2]));
  expect(found.all).toBeCloseTo(3 / 6, 12); // 1, 104, 199
  expect(found.tail).toBeCloseTo(2 / 3, 12);
  // To the nearest training image: 0, 40, 20, 4, 35 and 1 of 255 values, which are 2 wide
  expect(found.distance).toBeCloseTo((100 / 6) * (2 / 255), 12);
  // 105 is 1 from 104, and 5 from the training images; 130 is 26 from 104 and 20 from 110; 190 is 9 from 199 and 10 from
  // 200; 160 is 5 from 165, of whichever class.
  expect(found.coverage).toBe(0.75);
  expect(found.perClass.map(({ coverage }) => coverage)).toEqual([null, 0.5, 1]);
  expect(found.perClass.map(({ fidelity }) => fidelity)).toEqual([1 / 3, 0.5, 1]);
  expect(found.perClass.map(({ images }) => images)).toEqual([3, 2, 1]);
  expect(found.frechet).toBeNull(); // too few images of every class
});

it('compares as many images of a class on both sides', async () => {
  const reference = await Reference.open(dataset, set([0, 1, 2, 3], [0, 0, 0, 0]), judge, 5);
  const { frechet, coverage, perClass } = await reference.measure(set([0, 1, 2, 3, 200], [0, 0, 0, 0, 0]));
  expect(perClass[0]!.frechet).toBeCloseTo(0, 9); // without the fifth
  expect(frechet).toBe(perClass[0]!.frechet);
  expect(coverage).toBeNull(); // no unseen image is of the tail
});
