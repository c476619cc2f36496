/**
 * Training augmentation, keyed: horizontal flip (one in two) and a shift of up to a tenth of the height and width,
 * edges repeated. The same key gives the same image whatever the batch or process.
 */
import { integers, type Key } from '../tensor/random.ts';
import type { ImageSet } from './dataset.ts';
import type { Shape } from './decode.ts';

const MAX_SHIFT = 0.1;

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
 * the key of the image at that position of `indices` (fold in epoch and image id). Written to `out` when given.
 */
export function augmentBatch(
  set: Pick<ImageSet, 'images'>,
  indices: ArrayLike<number>,
  shape: Shape,
  keyOf: (position: number) => Key,
  out?: Uint8Array,
): Uint8Array {
  const size = shape.height * shape.width * shape.channels;
  const batch = out ?? new Uint8Array(indices.length * size);
  for (let i = 0; i < indices.length; i++)
    writeAugmented(set.images, indices[i]! * size, shape, keyOf(i), batch, i * size);
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

/** A shift of −m … m pixels, m = ⌊extent / 10⌋, from a draw in [0, 2²⁴). */
function shiftFrom(draw: number, extent: number): number {
  const most = Math.floor(extent * MAX_SHIFT);
  return Math.floor((draw / 2 ** 24) * (2 * most + 1)) - most;
}
