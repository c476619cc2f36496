/**
 * Operations on byte images [height, width, channels] of 1 or 3 channels, each equal, byte for byte, to what Pillow makes of
 * the same image (data/testing/rand-augment-vectors.json). Each returns a new image; nearest pixels, black from outside.
 */
import type { Shape } from './decode.ts';

/** Row-major 2×3: the place (x, y) of a made image's pixel in the image that it comes from. */
type Affine = readonly [number, number, number, number, number, number];

/** x ← x + level·y. */
export function shearX(image: Uint8Array, shape: Shape, level: number): Uint8Array {
  return transformed(image, shape, [1, level, 0, 0, 1, 0]);
}

/** y ← y + level·x. */
export function shearY(image: Uint8Array, shape: Shape, level: number): Uint8Array {
  return transformed(image, shape, [1, 0, 0, level, 1, 0]);
}

/** Moved by whole pixels, to the right and down. */
export function translated(image: Uint8Array, shape: Shape, right: number, down: number): Uint8Array {
  return transformed(image, shape, [1, 0, -right, 0, 1, -down]);
}

/** Turned about its middle, counter-clockwise. */
export function rotated(image: Uint8Array, shape: Shape, degrees: number): Uint8Array {
  const angle = (-degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [shape.width / 2, shape.height / 2];
  return transformed(image, shape, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]);
}

/** factor·v, of 0 … 255. */
export function brightened(image: Uint8Array, _shape: Shape, factor: number): Uint8Array {
  return blended(image, factor, () => 0);
}

/** factor·v + (1 − factor)·(mean grey of the image). */
export function contrasted(image: Uint8Array, { channels }: Shape, factor: number): Uint8Array {
  let sum = 0;
  for (let pixel = 0; pixel < image.length; pixel += channels) sum += greyOf(image, channels, pixel);
  const mean = Math.floor((sum * channels) / image.length + 0.5);
  return blended(image, factor, () => mean);
}

/** factor·v + (1 − factor)·(grey of the pixel); a grey image is unchanged. */
export function saturated(image: Uint8Array, { channels }: Shape, factor: number): Uint8Array {
  return blended(image, factor, (i) => greyOf(image, channels, i - (i % channels)));
}

/** factor·v + (1 − factor)·(blurred v): the mean of a pixel, five times, and its eight neighbours. The border stays. */
export function sharpened(image: Uint8Array, shape: Shape, factor: number): Uint8Array {
  const { height, width, channels } = shape;
  const row = width * channels;
  return blended(image, factor, (i) => {
    const [y, x] = [Math.floor(i / row), Math.floor((i % row) / channels)];
    if (y === 0 || x === 0 || y === height - 1 || x === width - 1) return image[i]!;
    let sum = 4 * image[i]!;
    for (const down of [-row, 0, row])
      for (const right of [-channels, 0, channels]) sum += image[i + down + right]!;
    return Math.round(sum / 13);
  });
}

/** The `bits` highest bits of each value, 0 … 8. */
export function posterized(image: Uint8Array, _shape: Shape, bits: number): Uint8Array {
  const mask = 256 - 2 ** (8 - bits);
  return image.map((value) => value & mask);
}

/** Values from `threshold` on are turned round: 255 − v. */
export function solarized(image: Uint8Array, _shape: Shape, threshold: number): Uint8Array {
  return image.map((value) => (value < threshold ? value : 255 - value));
}

/** Each channel stretched, so that its least value becomes 0 and its greatest 255. */
export function autoContrasted(image: Uint8Array, { channels }: Shape): Uint8Array {
  return byChannel(image, channels, (counts) => {
    const [low, high] = [counts.findIndex((n) => n > 0), counts.findLastIndex((n) => n > 0)];
    if (high <= low) return null;
    const scale = 255 / (high - low);
    return (value) => value * scale + -low * scale;
  });
}

/** Each channel's histogram made even: v becomes the share of the pixels below it. */
export function equalized(image: Uint8Array, { channels }: Shape): Uint8Array {
  return byChannel(image, channels, (counts) => {
    const filled = counts.filter((n) => n > 0);
    const pixels = image.length / channels;
    const step = Math.floor((pixels - filled.at(-1)!) / 255);
    if (filled.length < 2 || step === 0) return null;
    let below = Math.floor(step / 2);
    const table = counts.map((n) => {
      const value = Math.floor(below / step);
      below += n;
      return value;
    });
    return (value) => table[value]!;
  });
}

/** Pillow's rule: 16.16 fixed-point places of the pixels' centres, rounded down. */
function transformed(
  image: Uint8Array,
  { height, width, channels }: Shape,
  [a, b, c, d, e, f]: Affine,
): Uint8Array {
  const out = new Uint8Array(image.length);
  const fixed = (value: number) => Math.floor(value * 65536 + 0.5);
  const [ax, bx, ay, by] = [fixed(a), fixed(b), fixed(d), fixed(e)];
  const [startX, startY] = [fixed(c + a / 2 + b / 2), fixed(f + d / 2 + e / 2)];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const column = Math.floor((startX + ax * x + bx * y) / 65536);
      const row = Math.floor((startY + ay * x + by * y) / 65536);
      if (column < 0 || column >= width || row < 0 || row >= height) continue;
      const from = (row * width + column) * channels;
      out.set(image.subarray(from, from + channels), (y * width + x) * channels);
    }
  return out;
}

/** other + factor·(v − other) in single precision, of 0 … 255, the fraction cut off. */
function blended(image: Uint8Array, factor: number, other: (index: number) => number): Uint8Array {
  const alpha = Math.fround(factor);
  return image.map((value, i) => {
    const towards = other(i);
    const mixed = Math.fround(towards + Math.fround(alpha * (value - towards)));
    return Math.min(255, Math.max(0, Math.trunc(mixed)));
  });
}

/**
 * Changes values channel by channel, by the rule that `ruleOf` derives from its histogram; null leaves a channel
 * unchanged.
 */
function byChannel(
  image: Uint8Array,
  channels: number,
  ruleOf: (counts: readonly number[]) => ((value: number) => number) | null,
): Uint8Array {
  const out = image.slice();
  for (let channel = 0; channel < channels; channel++) {
    const counts = new Array<number>(256).fill(0);
    for (let i = channel; i < image.length; i += channels) counts[image[i]!]!++;
    const rule = ruleOf(counts);
    if (rule === null) continue;
    for (let i = channel; i < image.length; i += channels)
      out[i] = Math.min(255, Math.max(0, Math.trunc(rule(image[i]!))));
  }
  return out;
}

/** 0.299·r + 0.587·g + 0.114·b of a pixel, rounded by Pillow's integers. */
function greyOf(image: Uint8Array, channels: number, pixel: number): number {
  if (channels !== 3) return image[pixel]!;
  return (19595 * image[pixel]! + 38470 * image[pixel + 1]! + 7471 * image[pixel + 2]! + 0x8000) >> 16;
}
