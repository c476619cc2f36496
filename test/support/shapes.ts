/** A tiny data set of drawn shapes: three classes that a small network learns in seconds, imbalanced as real data is. */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { foldIn, keyFromSeed, uniform } from '../../tensor/random.ts';

/** Side of the images, pixels. */
export const SHAPE_SIZE = 16;
export const SHAPE_CLASSES = ['cross', 'disc', 'square'] as const;
/** Training images of each class. */
export const SHAPE_COUNTS = [40, 15, 6] as const;
const TEST_COUNT = 8;
/** Test images are other drawings than train images. */
const TEST_FROM = 1000;

type ShapeClass = (typeof SHAPE_CLASSES)[number];

/** Writes `dir/train/<class>/*.png` (40, 15 and 6 grey images) and `dir/test/<class>/*.png` (8 each); always the same. */
export async function writeShapes(dir: string): Promise<void> {
  for (const [label, name] of SHAPE_CLASSES.entries()) {
    for (let i = 0; i < SHAPE_COUNTS[label]!; i++)
      await writeShape(join(dir, 'train', name, `${i}.png`), name, i);
    for (let i = 0; i < TEST_COUNT; i++)
      await writeShape(join(dir, 'test', name, `${i}.png`), name, TEST_FROM + i);
  }
}

/** Writes one grey image, making its folder; place, size and shades follow from `index`. */
export async function writeShape(file: string, name: ShapeClass, index: number): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  await sharp(Buffer.from(drawShape(name, index)))
    .removeAlpha()
    .toColourspace('b-w')
    .toFile(file);
}

function drawShape(name: ShapeClass, index: number): string {
  const [u, v, size, paper, ink] = [...uniform(foldIn(keyFromSeed(7), name, index), 5)] as FiveNumbers;
  const [x, y] = [u, v].map((place) => SHAPE_SIZE / 2 + 3 * (place - 0.5)) as [number, number];
  const r = 3.5 + 2 * size;
  const colour = grey(190 + 65 * ink);
  const shapes: Record<ShapeClass, string> = {
    cross: `<path d="M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}" stroke="${colour}" stroke-width="2"/>`,
    disc: `<circle cx="${x}" cy="${y}" r="${r}" fill="${colour}"/>`,
    square: `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}" fill="none" stroke="${colour}" stroke-width="2"/>`,
  };
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SHAPE_SIZE}" height="${SHAPE_SIZE}">` +
    `<rect width="100%" height="100%" fill="${grey(60 * paper)}"/>${shapes[name]}</svg>`
  );
}

type FiveNumbers = [number, number, number, number, number];

function grey(value: number): string {
  return `#${Math.round(value).toString(16).padStart(2, '0').repeat(3)}`;
}
