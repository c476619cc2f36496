import { describe, expect, it } from 'vitest';
import { foldIn, keyFromSeed } from '../tensor/random.ts';
import { augment, augmentBatch } from './augment.ts';

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
