// Operations against torchvision 0.29.2 on Pillow 13.0.0 (test/peer/rand_augment_vectors.py).
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { foldIn, keyFromSeed } from '../tensor/random.ts';
import { augmentBatch } from './augment.ts';
import { drawOperations, MAX_MAGNITUDE, OPERATIONS, randAugmented } from './rand-augment.ts';
import vectors from './testing/rand-augment-vectors.json' with { type: 'json' };

const { height, width, sha256 } = vectors;
const key = keyFromSeed(3);

function image(channels: number): Uint8Array {
  return Uint8Array.from({ length: height * width * channels }, (_, i) => {
    const [channel, pixel] = [i % channels, Math.floor(i / channels)];
    const [row, column] = [Math.floor(pixel / width), pixel % width];
    return 30 + ((37 * (7 * row + 13 * column + 29 * channel + row * column)) % 190);
  });
}

describe('operations', () => {
  it.each(Object.keys(OPERATIONS))('%s is what torchvision makes with Pillow', (operation) => {
    for (const [name, digest] of Object.entries(sha256)) {
      const [own, magnitude, channels] = name.split(' ') as [string, string, string];
      if (own !== operation) continue;
      const before = image(Number(channels));
      const kept = before.slice();
      const shape = { height, width, channels: Number(channels) };
      const made = OPERATIONS[operation]!.apply(before, shape, Number(magnitude) / MAX_MAGNITUDE);
      expect(createHash('sha256').update(made).digest('hex'), name).toBe(digest);
      expect(before).toEqual(kept);
    }
  });

  it('are all compared', () => {
    expect(new Set(Object.keys(sha256).map((name) => name.split(' ')[0]))).toEqual(
      new Set(Object.keys(OPERATIONS)),
    );
  });

  it('leave an image of one colour its histogram', () => {
    const flat = new Uint8Array(height * width).fill(77);
    const shape = { height, width, channels: 1 };
    for (const name of ['AutoContrast', 'Equalize', 'Contrast', 'Sharpness', 'Color'])
      expect(OPERATIONS[name]!.apply(flat, shape, 0.3)).toEqual(flat);
  });
});

describe('drawOperations', () => {
  it('draws all fourteen alike, and both signs of those that have two', () => {
    const drawn = Array.from({ length: 1400 }, (_, i) => drawOperations(2, foldIn(key, i))).flat();
    for (const [name, { isSigned }] of Object.entries(OPERATIONS)) {
      const own = drawn.filter((operation) => operation.name === name);
      expect(own.length).toBeGreaterThan(146); // 200 ± 4 standard deviations of 13.6
      expect(own.length).toBeLessThan(254);
      const negative = own.filter(({ sign }) => sign === -1).length / own.length;
      expect(Math.abs(negative - (isSigned ? 0.5 : 0))).toBeLessThan(isSigned ? 0.15 : 1e-9);
    }
  });
});

describe('randAugmented', () => {
  it('is its drawn operations, one after the other', () => {
    const shape = { height, width, channels: 3 };
    for (let i = 0; i < 50; i++) {
      const own = foldIn(key, i);
      const [first, second] = drawOperations(2, own) as [{ name: string; sign: number }, { name: string; sign: number }]; // prettier-ignore
      const once = OPERATIONS[first.name]!.apply(image(3), shape, first.sign * 0.3);
      const twice = OPERATIONS[second.name]!.apply(once, shape, second.sign * 0.3);
      expect(randAugmented(image(3), shape, { operations: 2, magnitude: 9 }, own)).toEqual(twice);
    }
  });

  it('follows flip and shift in a batch, by key, whatever the batch', () => {
    const shape = { height, width, channels: 1 };
    const images = Uint8Array.from([...image(1), ...image(1).map((value) => 255 - value)]);
    const plain = { crop: null, verticalFlip: false, colorJitter: 0, randAugment: null };
    const randAugment = { operations: 2, magnitude: 9 };
    const keyOf = (i: number) => foldIn(key, i);
    const moved = augmentBatch({ images }, [1, 0], shape, keyOf, plain);
    const both = augmentBatch({ images }, [1, 0], shape, keyOf, { ...plain, randAugment });
    const size = height * width;
    for (const i of [0, 1])
      expect(both.subarray(i * size, (i + 1) * size)).toEqual(
        randAugmented(moved.subarray(i * size, (i + 1) * size), shape, randAugment, foldIn(keyOf(i), 'rand-augment')),
      ); // prettier-ignore
  });
});
