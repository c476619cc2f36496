import { describe, expect, it } from 'vitest';
import { foldIn, keyFromSeed, uniform } from '../tensor/random.ts';
import { augment, augmentBatch } from './augment.ts';
import type { Augmentation } from './augment.ts';
import { jitterColors } from './color-jitter.ts';
import { chooseCrop, writeResizedCrop } from './resized-crop.ts';

const SIDE = 20;
const key = keyFromSeed(5);
/** Each pixel holds its own place: row and column. */
const image = Uint8Array.from({ length: SIDE * SIDE * 2 }, (_, i) =>
  i % 2 === 0 ? Math.floor(i / 2 / SIDE) : (i / 2 - 0.5) % SIDE,
);

/** Undoes what the augmentation did, as read off the middle pixels. */
function motion(out: Uint8Array): { flip: boolean; down: number; right: number } {
  const at = (y: number, x: number): [number, number] => [
    out[(y * SIDE + x) * 2]!,
    out[(y * SIDE + x) * 2 + 1]!,
  ];
  const [row, column] = at(10, 10);
  const flip = at(10, 11)[1] < column;
  return { flip, down: 10 - row, right: 10 - (flip ? SIDE - 1 - column : column) };
}

describe('augment', () => {
  const motions = Array.from({ length: 400 }, (_, i) =>
    motion(augment(image, SIDE, SIDE, 2, foldIn(key, i))),
  );

  it('flips about half and shifts by -2 … 2 of 20 pixels, all equally likely', () => {
    const flips = motions.filter(({ flip }) => flip).length;
    expect(flips).toBeGreaterThan(160); // 200 ± 4 standard deviations of 10
    expect(flips).toBeLessThan(240);
    for (const axis of ['down', 'right'] as const)
      for (const shift of [-2, -1, 0, 1, 2]) {
        const seen = motions.filter((m) => m[axis] === shift).length;
        expect(seen).toBeGreaterThan(48); // 80 ± 4 standard deviations of 8
        expect(seen).toBeLessThan(112);
      }
  });

  it('repeats the edge', () => {
    const index = motions.findIndex(({ down, right, flip }) => down === 2 && right === 1 && !flip);
    const out = augment(image, SIDE, SIDE, 2, foldIn(key, index));
    const corner = [0, 1, 2].map((y) =>
      [0, 1, 2].map((x) => [...out.subarray((y * SIDE + x) * 2, (y * SIDE + x) * 2 + 2)]),
    );
    const row = [
      [0, 0],
      [0, 0],
      [0, 1],
    ];
    expect(corner).toEqual([row, row, row]);
  });

  it('leaves small images unshifted', () => {
    const small = Uint8Array.of(1, 2, 3);
    for (let i = 0; i < 20; i++)
      expect([
        [1, 2, 3],
        [3, 2, 1],
      ]).toContainEqual([...augment(small, 1, 3, 1, foldIn(key, i))]);
  });
});

describe('augmentBatch', () => {
  it('gives each image what augment gives it alone', () => {
    const images = Uint8Array.from([...image, ...image.map((value) => 255 - value)]);
    const set = { images, labels: Int32Array.of(0, 1), ids: ['a', 'b'], groups: null };
    const shape = { height: SIDE, width: SIDE, channels: 2 };
    const batch = augmentBatch(set, [1, 0], shape, (i) => foldIn(key, i));
    const second = images.subarray(image.length);
    expect(batch.subarray(0, image.length)).toEqual(augment(second, SIDE, SIDE, 2, foldIn(key, 0)));
    expect(batch.subarray(image.length)).toEqual(augment(image, SIDE, SIDE, 2, foldIn(key, 1)));
  });
});

describe('resized crops', () => {
  const shape = { height: 24, width: 36, channels: 3 };
  const parts = Array.from({ length: 400 }, (_, i) => chooseCrop(shape, [0.2, 0.6], foldIn(key, i)));

  it('lie inside the image, with the share of its area and the ratio of sides that are asked for', () => {
    for (const { top, left, height, width } of parts) {
      expect(top >= 0 && left >= 0 && top + height <= 24 && left + width <= 36).toBe(true);
      const share = (height * width) / (24 * 36);
      expect(share > 0.2 * 0.9 && share < 0.6 * 1.1).toBe(true); // whole pixels
      expect(width / height > 0.75 * 0.9 && width / height < (4 / 3) * 1.1).toBe(true);
    }
    const mean = parts.reduce((sum, { height, width }) => sum + (height * width) / (24 * 36), 0) / 400;
    expect(mean).toBeCloseTo(0.4, 1);
    expect(new Set(parts.map(({ top }) => top)).size).toBeGreaterThan(8);
  });

  it('of the whole image are the image, mirrored or not', () => {
    const square = { height: 4, width: 4, channels: 1 };
    const own = Uint8Array.from({ length: 16 }, (_, i) => 16 * i);
    const mirrored = Uint8Array.from({ length: 16 }, (_, i) => own[i - (i % 4) + 3 - (i % 4)]!);
    const found = Array.from({ length: 40 }, (_, i) => {
      const out = new Uint8Array(16);
      // Ratios from 3/4 to 4/3 of the whole area do not fit, so that the middle of the image is taken: all of it.
      writeResizedCrop(own, square, [1, 1], foldIn(key, i), out);
      return String(out);
    });
    expect(new Set(found.filter((text) => text === String(own) || text === String(mirrored))).size).toBe(2);
  });

  it('keep straight lines straight: a ramp stays one', () => {
    const ramp = Uint8Array.from({ length: 24 * 36 }, (_, i) => 7 * (i % 36));
    const out = new Uint8Array(ramp.length);
    writeResizedCrop(ramp, { ...shape, channels: 1 }, [0.2, 0.3], foldIn(key, 1), out);
    const steps = Array.from({ length: 20 }, (_, i) => Math.abs(out[i + 8]! - out[i + 9]!));
    expect(Math.max(...steps) - Math.min(...steps)).toBeLessThanOrEqual(1);
  });

  it('come through augmentBatch by key, whatever the batch', () => {
    const images = Uint8Array.from({ length: 2 * 24 * 36 * 3 }, (_, i) => (i * 31) % 251);
    const augmentation = { crop: [0.3, 1] as const, verticalFlip: true, colorJitter: 0.3, randAugment: null };
    const batch = augmentBatch({ images }, [1, 0], shape, (i) => foldIn(key, i), augmentation);
    const alone = augmentBatch({ images }, [0], shape, () => foldIn(key, 1), augmentation);
    expect(batch.subarray(24 * 36 * 3)).toEqual(alone);
  });
});

it('turns images upside down about one time in two', () => {
  const images = Uint8Array.of(1, 2, 3, 4, 5, 6); // three rows of two; shifts need ten
  const plain = { crop: null, verticalFlip: false, colorJitter: 0, randAugment: null };
  const turned = Array.from({ length: 200 }, (_, i) => {
    const of = (augmentation: Augmentation) =>
      augmentBatch({ images }, [0], { height: 3, width: 2, channels: 1 }, () => foldIn(key, i), augmentation);
    const [before, after] = [of(plain), of({ ...plain, verticalFlip: true })];
    const isTurned = before[0] !== after[0];
    expect([...after]).toEqual(isTurned ? [4, 5, 2, 3, 0, 1].map((at) => before[at]) : [...before]);
    return isTurned;
  });
  expect(turned.filter(Boolean).length).toBeGreaterThan(70); // 100 ± 4 standard deviations of 7
  expect(turned.filter(Boolean).length).toBeLessThan(130);
});

describe('jitterColors', () => {
  it('leaves an image as it is at strength 0', () => {
    const own = Uint8Array.of(10, 20, 30, 200, 100, 0);
    const image = own.slice();
    jitterColors(image, 3, 0, key);
    expect(image).toEqual(own);
  });

  it('is brightness, contrast and saturation by the three drawn factors', () => {
    const image = Uint8Array.of(100, 50, 200, 20, 220, 120);
    const [b, c, s] = Array.from(uniform(key, 3), (u) => 1 + 0.4 * (2 * u - 1)) as [number, number, number];
    const grey = (pixel: number[]) => 0.299 * pixel[0]! + 0.587 * pixel[1]! + 0.114 * pixel[2]!;
    const bright = [[100, 50, 200], [20, 220, 120]].map((pixel) => pixel.map((value) => Math.min(255, value * b))); // prettier-ignore
    const mean = (grey(bright[0]!) + grey(bright[1]!)) / 2;
    const contrasted = bright.map((pixel) => pixel.map((value) => c * value + (1 - c) * mean));
    const expected = contrasted.flatMap((pixel) => pixel.map((value) => s * value + (1 - s) * grey(pixel)));
    jitterColors(image, 3, 0.4, key);
    image.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(3)); // rounded three times
  });
});
