/**
 * Training augmentation, keyed: horizontal flip (one in two) and a shift of up to a tenth of the height and width, edges
 * repeated, or a resized crop; then, where asked for, turned upside down, with other colours, through RandAugment
 * (`Augmentation`). The same key gives the same image whatever the batch or process.
 */
import { foldIn, integers, type Key } from '../tensor/random.ts';
import { jitterColors } from './color-jitter.ts';
import { randAugmented, type RandAugment } from './rand-augment.ts';
import { writeResizedCrop } from './resized-crop.ts';
import type { ImageSet } from './dataset.ts';
import type { Shape } from './decode.ts';

const MAX_SHIFT = 0.1;

export interface Augmentation {
  /** Shares of the area, least and largest, of a crop that is enlarged to the image's size; null: flip and shift. */
  readonly crop: readonly [number, number] | null;
  /** Upside down, one time in two. */
  readonly verticalFlip: boolean;
  /** See `jitterColors`; 0 for none. */
  readonly colorJitter: number;
  /** After all of that; null for none. */
  readonly randAugment: RandAugment | null;
}

const FLIP_SHIFT: Augmentation = { crop: null, verticalFlip: false, colorJitter: 0, randAugment: null };

/** One augmented copy of a [height, width, channels] image. */
export function augment(
  image: Uint8Array,
  height: number,
  width: number,
  channels: number,
  key: Key,
): Uint8Array {
  const out = new Uint8Array(image.length);
  writeAugmented(image, 0, { height, width, channels }, key, out, 0);
  return out;
}

/**
 * Augmented copies of the images of `set` at `indices`: [n, height, width, channels] bytes. `keyOf(position)` gives
 * the key of the image at that position of `indices` (fold in epoch and image id).
 */
export function augmentBatch(
  set: Pick<ImageSet, 'images'>,
  indices: ArrayLike<number>,
  shape: Shape,
  keyOf: (position: number) => Key,
  augmentation: Augmentation = FLIP_SHIFT,
): Uint8Array {
  const { crop, verticalFlip, colorJitter, randAugment } = augmentation;
  const size = shape.height * shape.width * shape.channels;
  const batch = new Uint8Array(indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const [from, to, key] = [indices[i]! * size, i * size, keyOf(i)];
    const source = set.images.subarray(from, from + size);
    if (crop === null) writeAugmented(source, 0, shape, key, batch, to);
    else writeResizedCrop(source, shape, crop, key, batch.subarray(to, to + size));
    const image = batch.subarray(to, to + size);
    if (verticalFlip && integers(foldIn(key, 'vertical'), 1, 2)[0] === 1) turnUpsideDown(image, shape);
    if (colorJitter > 0) jitterColors(image, shape.channels, colorJitter, foldIn(key, 'color'));
    if (randAugment !== null)
      image.set(randAugmented(image, shape, randAugment, foldIn(key, 'rand-augment')));
  }
  return batch;
}

function writeAugmented(
  bytes: Uint8Array,
  from: number,
  { height, width, channels }: Shape,
  key: Key,
  out: Uint8Array,
  to: number,
): void {
  const draws = integers(key, 3, 2 ** 24);
  const flip = draws[0]! < 2 ** 23;
  const down = shiftFrom(draws[1]!, height);
  const right = shiftFrom(draws[2]!, width);
  let target = to;
  for (let y = 0; y < height; y++) {
    const row = from + Math.min(height - 1, Math.max(0, y - down)) * width * channels;
    for (let x = 0; x < width; x++) {
      const column = Math.min(width - 1, Math.max(0, x - right));
      const source = row + (flip ? width - 1 - column : column) * channels;
      for (let channel = 0; channel < channels; channel++) out[target++] = bytes[source + channel]!;
    }
  }
}

function turnUpsideDown(image: Uint8Array, { height, width, channels }: Shape): void {
  const row = width * channels;
  for (let top = 0, bottom = height - 1; top < bottom; top++, bottom--) {
    const kept = image.slice(top * row, (top + 1) * row);
    image.copyWithin(top * row, bottom * row, (bottom + 1) * row);
    image.set(kept, bottom * row);
  }
}

/** A shift of −m … m pixels, m = ⌊extent / 10⌋, from a draw in [0, 2²⁴). */
function shiftFrom(draw: number, extent: number): number {
  const most = Math.floor(extent * MAX_SHIFT);
  return Math.floor((draw / 2 ** 24) * (2 * most + 1)) - most;
}
