import { describe, expect, it } from 'vitest';
import { keyFromSeed } from '../../tensor/random.ts';
import { classCounts, epochOrder } from './epoch-order.ts';
import type { EpochOrderInput } from './epoch-order.ts';

const realLabels = Int32Array.from([0, 0, 0, 0, 0, 0, 1, 1, 1, 2]);
const none = new Int32Array();
const base: EpochOrderInput = {
  realLabels,
  syntheticLabels: none,
  classes: 3,
  sampling: 'natural',
  syntheticShare: null,
  epochs: 5,
  replay: [],
  places: 10,
  key: keyFromSeed(1),
  epoch: 1,
};

function timesSeen(order: Int32Array, examples: number): number[] {
  return classCounts(order, examples);
}

function classesOf(order: Int32Array, labels: Int32Array): number[] {
  return classCounts(
    Int32Array.from(order, (i) => labels[i]!),
    3,
  );
}

describe('natural order', () => {
  it('takes real and synthetic images once each', () => {
    const order = epochOrder({ ...base, syntheticLabels: Int32Array.of(1, 2, 2, 2), places: 14 });
    expect(timesSeen(order, 14)).toEqual(new Array<number>(14).fill(1));
  });

  it('fills the places of missing synthetic images with further passes, evenly', () => {
    const order = epochOrder({ ...base, places: 25 });
    expect(order.length).toBe(25);
    const seen = timesSeen(order, 10);
    expect(Math.min(...seen)).toBe(2);
    expect(Math.max(...seen)).toBe(3);
  });

  it('is keyed by seed and epoch', () => {
    expect(epochOrder(base)).toEqual(epochOrder(base));
    expect(epochOrder({ ...base, epoch: 2 })).not.toEqual(epochOrder(base));
    expect(epochOrder({ ...base, key: keyFromSeed(2) })).not.toEqual(epochOrder(base));
  });
});

it('replay adds real images by its quotas', () => {
  const order = epochOrder({ ...base, replay: [1, 2, 6], places: 19 });
  expect(classesOf(order, realLabels)).toEqual([6 + 1, 3 + 2, 1 + 6]);
});

describe('drawn orders', () => {
  it('class-balanced: 30 places are 10 of each class, each example of a class equally often', () => {
    const order = epochOrder({ ...base, sampling: 'class-balanced', places: 30 });
    expect(classesOf(order, realLabels)).toEqual([10, 10, 10]);
    const seen = timesSeen(order, 10);
    expect(seen.slice(0, 6).every((times) => times === 1 || times === 2)).toBe(true);
    expect(seen[9]).toBe(10);
  });

  it('class-balanced counts synthetic images as members of their class', () => {
    const syntheticLabels = Int32Array.of(2, 2, 2, 2);
    const order = epochOrder({ ...base, sampling: 'class-balanced', syntheticLabels, places: 30 });
    const seen = timesSeen(order, 14);
    expect([seen[9], ...seen.slice(10)]).toEqual([2, 2, 2, 2, 2]);
  });

  it('gives synthetic images their share of the places of classes that have any', () => {
    const syntheticLabels = Int32Array.of(2, 2, 2, 2);
    const order = epochOrder({
      ...base,
      ...{ sampling: 'class-balanced', syntheticShare: 0.4, syntheticLabels, places: 30 },
    });
    // ten places of class 2: six for its one real image, four for the four synthetic ones; other classes as before
    const seen = timesSeen(order, 14);
    expect([seen[9], ...seen.slice(10)]).toEqual([6, 1, 1, 1, 1]);
    expect(seen.slice(0, 6).reduce((sum, times) => sum + times)).toBe(10);
  });

  it('draws one synthetic image of a frequent class no more often than a real one', () => {
    const order = epochOrder({
      ...base,
      ...{ sampling: 'class-balanced', syntheticShare: 0.4, syntheticLabels: Int32Array.of(0), places: 42 },
    });
    // 14 places of class 0, which has six real images and this one
    expect(timesSeen(order, 11)[10]).toBe(2);
  });

  it('square-root: √6 : √3 : 1 of 100 places, by largest remainder', () => {
    const order = epochOrder({ ...base, sampling: 'square-root', places: 100 });
    // 100 · (2.4495, 1.7321, 1) / 5.1815 = 47.27, 33.43, 19.30
    expect(classesOf(order, realLabels)).toEqual([47, 34, 19]);
  });

  it('progressive: from 6 : 3 : 1 in the first epoch to equal shares in the last', () => {
    const drawn = (epoch: number) =>
      classesOf(epochOrder({ ...base, sampling: 'progressive', epoch, places: 30 }), realLabels);
    // Half-way: (6/10 + 1/3)/2, (3/10 + 1/3)/2, (1/10 + 1/3)/2 of 30 = 14, 9.5, 6.5
    expect([1, 3, 5].map(drawn)).toEqual([
      [18, 9, 3],
      [14, 10, 6],
      [10, 10, 10],
    ]);
  });
});
