// Expected numbers are worked out by hand.
import { describe, expect, it } from 'vitest';
import { monotoneCurve, worthInRealImages, worthText } from './worth.ts';

const curve = (...scores: number[]) =>
  scores.map((score, i) => ({ images: [0, 5, 10, 20, 50, 150][i]!, score }));
const scores = (...values: number[]) => monotoneCurve(curve(...values)).map(({ score }) => score);

describe('monotoneCurve', () => {
  it('leaves a rising curve as it is', () => {
    expect(scores(70, 71, 72, 75, 80, 82)).toEqual([70, 71, 72, 75, 80, 82]);
  });

  it('pools neighbours that fall into their mean, further back where that mean falls too', () => {
    expect(scores(70, 73, 72, 75, 80, 82)).toEqual([70, 72.5, 72.5, 75, 80, 82]);
    // 74, 73 → 73.5; with 70 after them → (74 + 73 + 70) / 3 = 72.333, which is above 71 before them
    expect(scores(71, 74, 73, 70, 80, 82)).toEqual([71, 217 / 3, 217 / 3, 217 / 3, 80, 82]);
    expect(scores(6, 5, 4, 3, 2, 1)).toEqual([3.5, 3.5, 3.5, 3.5, 3.5, 3.5]);
  });

  it('weighs means by their seeds', () => {
    const points = [
      { images: 0, score: 72, weight: 3 },
      { images: 5, score: 70 },
    ]; // (3·72 + 70) / 4
    expect(monotoneCurve(points).map(({ score }) => score)).toEqual([71.5, 71.5]);
  });

  it.each([
    [[{ images: 0, score: 1 }], 'at least two points, not 1'],
    [
      [
        { images: 5, score: 1 },
        { images: 5, score: 2 },
      ],
      'two points of 5 images; give their mean',
    ],
    [
      [
        { images: 0, score: NaN },
        { images: 5, score: 2 },
      ],
      'the score of 0 images is NaN',
    ],
    [
      [
        { images: -1, score: 1 },
        { images: 5, score: 2 },
      ],
      'a point of -1 images',
    ],
    [
      [
        { images: 0, score: 1, weight: 0 },
        { images: 5, score: 2 },
      ],
      'the weight of 0 images is 0',
    ],
  ])('refuses %j', (points, message) => {
    expect(() => monotoneCurve(points)).toThrow(message);
  });
});

describe('worthInRealImages', () => {
  const points = curve(70, 73, 72, 75, 80, 82); // 5 and 10 pooled at 72.5

  it.each([
    [70, 'within', 0],
    [71, 'within', 2], // 5 · 1/2.5
    [72.5, 'within', 5], // the least of 5 … 10
    [73.5, 'within', 14], // 10 + 10 · 1/2.5
    [78, 'within', 38], // 20 + 30 · 3/5
    [81, 'within', 100],
    [82, 'within', 150],
    [82.01, 'above', 150],
    [69.99, 'below', 0],
  ] as const)('%d is %s %d', (score, place, images) => {
    const worth = worthInRealImages(points, score);
    expect(worth.place).toBe(place);
    expect(worth.images).toBeCloseTo(images, 9);
  });

  it('does not depend on the order of the points', () => {
    expect(worthInRealImages([...points].reverse(), 78)).toEqual(worthInRealImages(points, 78));
  });

  it('of a curve that only falls is nothing, or more than it can say', () => {
    const falling = curve(6, 5, 4, 3, 2, 1);
    expect(worthInRealImages(falling, 3.5)).toEqual({ place: 'within', images: 0 });
    expect(worthInRealImages(falling, 3.6)).toEqual({ place: 'above', images: 150 });
  });

  it('refuses a score that is no number', () => {
    expect(() => worthInRealImages(points, NaN)).toThrow(RangeError);
  });
});

it('reads as a number, or says on which side it lies', () => {
  expect(worthText({ place: 'within', images: 22.6 })).toBe('23');
  expect(worthText({ place: 'below', images: 0 })).toBe('below 0');
  expect(worthText({ place: 'above', images: 150 })).toBe('above 150');
});
