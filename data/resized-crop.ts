/**
 * Random resized crop with a horizontal flip, as torchvision's RandomResizedCrop and RandomHorizontalFlip: a part of the
 * image with a share of its area drawn evenly and a ratio of sides drawn evenly in the logarithm from 3/4 to 4/3, enlarged to
 * the image's size (bilinear, centres of pixels aligned) and mirrored one time in two.
 */
import { foldIn, uniform, type Key } from '../tensor/random.ts';
import type { Shape } from './decode.ts';

const LOG_RATIO = Math.log(4 / 3);
/** Draws until a part fits; then the largest in the middle that has the right ratio. */
const ATTEMPTS = 10;

interface Part {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The part of a height × width image that a key selects; whole pixels. */
export function chooseCrop(
  { height, width }: Pick<Shape, 'height' | 'width'>,
  [low, high]: readonly [number, number],
  key: Key,
): Part {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [share, ratio, down, right] = uniform(foldIn(key, 'crop', attempt), 4) as unknown as [number, number, number, number]; // prettier-ignore
    const area = height * width * (low + (high - low) * share);
    const sides = Math.exp(LOG_RATIO * (2 * ratio - 1));
    const w = Math.max(1, Math.round(Math.sqrt(area * sides)));
    const h = Math.max(1, Math.round(Math.sqrt(area / sides)));
    if (w <= width && h <= height)
      return { top: Math.floor(down * (height - h + 1)), left: Math.floor(right * (width - w + 1)), height: h, width: w }; // prettier-ignore
  }
  const sides = Math.min(4 / 3, Math.max(3 / 4, width / height));
  const w = Math.min(width, Math.round(height * sides));
  const h = Math.min(height, Math.round(width / sides));
  return { top: (height - h) >> 1, left: (width - w) >> 1, height: h, width: w };
}

/** Writes a crop of `image` [height, width, channels] to `out`, of the same shape. */
export function writeResizedCrop(
  image: Uint8Array,
  shape: Shape,
  scale: readonly [number, number],
  key: Key,
  out: Uint8Array,
): void {
  const { height, width, channels } = shape;
  const part = chooseCrop(shape, scale, key);
  const isFlipped = uniform(foldIn(key, 'flip'), 1)[0]! < 0.5;
  const rows = taps(part.top, part.height, height);
  const columns = taps(part.left, part.width, width);
  let target = 0;
  for (const { first: top, second: bottom, weight: down } of rows)
    for (let x = 0; x < width; x++) {
      const { first: left, second: right, weight: across } = columns[isFlipped ? width - 1 - x : x]!;
      for (let channel = 0; channel < channels; channel++) {
        const at = (row: number, column: number) => image[(row * width + column) * channels + channel]!;
        const upper = at(top, left) * (1 - across) + at(top, right) * across;
        const lower = at(bottom, left) * (1 - across) + at(bottom, right) * across;
        out[target++] = Math.round(upper * (1 - down) + lower * down);
      }
    }
}

interface Tap {
  readonly first: number;
  readonly second: number;
  /** Of `second`; the rest is of `first`. */
  readonly weight: number;
}

/** The position of each of `count` pixels between the pixels of a part; its edges are repeated. */
function taps(start: number, extent: number, count: number): Tap[] {
  return Array.from({ length: count }, (_, i) => {
    const place = Math.min(extent - 1, Math.max(0, ((i + 0.5) * extent) / count - 0.5));
    const first = Math.floor(place);
    return { first: start + first, second: start + Math.min(extent - 1, first + 1), weight: place - first };
  });
}
