import { describe, expect, it } from 'vitest';
import { NearestImages } from './nearest-images.ts';

/** Grey images of 2×2 pixels, one value each. */
const flat = (...values: number[]) =>
  Uint8Array.from(values.flatMap((value) => [value, value, value, value]));
const SHAPE = { height: 2, width: 2, channels: 1 };

describe('the nearest training image', () => {
  const train = { images: flat(0, 100, 200, 110), labels: Int32Array.of(0, 0, 1, 1) };
  const nearest = new NearestImages(train, SHAPE, 2);

  it('is found in any class, with the root mean square difference', () => {
    const found = nearest.find(flat(120, 3, 255), [
      { index: 0, label: 0 },
      { index: 1, label: 1 },
      { index: 2, label: 0 },
    ]);
    expect(found.map(({ index }) => index)).toEqual([3, 0, 2]);
    expect(found.map(({ distance }) => distance)).toEqual([10 / 255, 3 / 255, 55 / 255]);
  });

  it('is the first of two that are as near', () => {
    expect(nearest.find(flat(105), [{ index: 0, label: 1 }])[0]!.index).toBe(1);
    expect(nearest.find(flat(105), [{ index: 0, label: 0 }])[0]!.index).toBe(1);
  });

  it('gives a copy at distance 0, among images too large to be compared whole', () => {
    const shape = { height: 40, width: 33, channels: 3 };
    const size = 40 * 33 * 3;
    const images = Uint8Array.from({ length: 5 * size }, (_, i) => (i * 7919 + (i >> 5) * 104_729) % 251);
    const large = new NearestImages({ images, labels: Int32Array.of(0, 1, 0, 1, 0) }, shape, 2);
    const copy = images.slice(3 * size, 4 * size);
    expect(large.find(copy, [{ index: 0, label: 0 }])).toEqual([{ index: 3, distance: 0 }]);
  });

  it('is of its own class where all comparisons would be too many', () => {
    const many = { images: new Uint8Array(2000).fill(9), labels: new Int32Array(2000) };
    many.labels.set([1, 1], 5);
    many.images.set([50, 60], 5);
    const limited = new NearestImages(many, { height: 1, width: 1, channels: 1 }, 2);
    const asked = (count: number) => Array.from({ length: count }, () => ({ index: 0, label: 1 }));
    expect(limited.find(Uint8Array.of(10), asked(2000))[0]!.index).toBe(0);
    expect(limited.find(Uint8Array.of(10), asked(2001))[0]!.index).toBe(5);
  });

  it('answers nothing when nothing is asked', () => {
    expect(nearest.find(flat(1), [])).toEqual([]);
  });
});
