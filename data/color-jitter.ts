/**
 * Colour jitter as torchvision's ColorJitter, in one order: brightness, contrast, then saturation, each by a factor f drawn
 * evenly from 1 − strength to 1 + strength.
 *
 *   brightness  f·v                     contrast    f·v + (1 − f)·(mean grey of the image)
 *   saturation  f·v + (1 − f)·(grey of the pixel), grey = 0.299·r + 0.587·g + 0.114·b
 */
import { uniform, type Key } from '../tensor/random.ts';

/** Changes an image of bytes [pixels, channels] in place; `strength` in [0, 1]. Grey images have no saturation. */
export function jitterColors(image: Uint8Array, channels: number, strength: number, key: Key): void {
  const [brightness, contrast, saturation] = Array.from(uniform(key, 3), (u) => 1 + strength * (2 * u - 1));
  blend(image, channels, brightness!, () => 0);
  const mean = Math.round(meanGrey(image, channels));
  blend(image, channels, contrast!, () => mean);
  if (channels === 3) blend(image, channels, saturation!, (pixel) => greyOf(image, channels, pixel));
}

function blend(
  image: Uint8Array,
  channels: number,
  factor: number,
  towards: (pixel: number) => number,
): void {
  for (let pixel = 0; pixel < image.length; pixel += channels) {
    const other = (1 - factor) * towards(pixel);
    for (let i = pixel; i < pixel + channels; i++)
      image[i] = Math.min(255, Math.max(0, Math.round(factor * image[i]! + other)));
  }
}

function meanGrey(image: Uint8Array, channels: number): number {
  let sum = 0;
  for (let pixel = 0; pixel < image.length; pixel += channels) sum += greyOf(image, channels, pixel);
  return (sum * channels) / image.length;
}

function greyOf(image: Uint8Array, channels: number, pixel: number): number {
  if (channels !== 3) return image[pixel]!;
  return 0.299 * image[pixel]! + 0.587 * image[pixel + 1]! + 0.114 * image[pixel + 2]!;
}
