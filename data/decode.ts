/**
 * From `Pixels` to bytes [n, height, width, channels], several images at once. Results come in input order whatever
 * the order of decoding. Refused: what is no picture of pixels, and images and sets beyond limits.ts.
 */
import sharp from 'sharp';
import { toError, UserError } from '../common/errors.ts';
import { decodeOne, type Wanted } from './image-decoder.ts';
import { MAX_ARRAY_BYTES } from './limits.ts';
import type { Pixels, SkippedImage } from './source.ts';

export type { Shape } from './survey.ts';

const CONCURRENT = 8;

export interface Decoded {
  readonly images: Uint8Array;
  /** Positions (ascending) of the inputs that `images` holds: all but the skipped ones. */
  readonly kept: Int32Array;
  readonly skipped: readonly SkippedImage[];
}

/**
 * All of `pixels` as `wanted`. A file of another size is refused, with advice, unless it may be resized. A file that
 * cannot be decoded is skipped and recorded, or refused (UserError), as `onBadImage` says.
 */
export async function decode(pixels: Pixels, wanted: Wanted, onBadImage: 'skip' | 'fail'): Promise<Decoded> {
  const size = wanted.height * wanted.width * wanted.channels;
  const count = countImages(pixels);
  if (count * size > MAX_ARRAY_BYTES)
    throw new UserError(
      `data.imageSize: ${count} images of ${wanted.width} x ${wanted.height} x ${wanted.channels} need ${Math.ceil((count * size) / 2 ** 20)} MiB, above the limit of ${MAX_ARRAY_BYTES / 2 ** 20}; set a smaller data.imageSize`,
    );
  const unchanged =
    pixels.kind === 'raw' &&
    pixels.height === wanted.height &&
    pixels.width === wanted.width &&
    pixels.channels === wanted.channels;
  if (unchanged)
    return { images: pixels.data, kept: Int32Array.from({ length: count }, (_, i) => i), skipped: [] };
  sharp.concurrency(1); // images are small: one thread each, several at once
  sharp.cache(false);
  return decodeEach(pixels, count, wanted, onBadImage);
}

/** How many images there are. */
export function countImages(pixels: Pixels): number {
  if (pixels.kind === 'files') return pixels.files.length;
  return pixels.data.length / (pixels.height * pixels.width * pixels.channels);
}

async function decodeEach(
  pixels: Pixels,
  count: number,
  wanted: Wanted,
  onBadImage: 'skip' | 'fail',
): Promise<Decoded> {
  const size = wanted.height * wanted.width * wanted.channels;
  const images = new Uint8Array(count * size);
  const failures = new Map<number, Error>();
  let next = 0;
  let isRefused = false;
  const work = async (): Promise<void> => {
    while (next < count && !isRefused) {
      const position = next++;
      try {
        images.set(await decodeOne(pixels, position, wanted), position * size);
      } catch (error) {
        failures.set(position, toError(error));
        isRefused ||= onBadImage === 'fail' || error instanceof UserError;
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  const bad = [...failures.keys()].sort((a, b) => a - b);
  const name = (position: number): string =>
    pixels.kind === 'files' ? pixels.files[position]! : `image ${position}`;
  const reason = (position: number): string => failures.get(position)!.message.split('\n')[0]!;
  // Positions start in order, so the first failure is the same whatever the timing.
  const refusal = bad.find(
    (position) => onBadImage === 'fail' || failures.get(position) instanceof UserError,
  );
  if (refusal !== undefined) throw refuse(name(refusal), failures.get(refusal)!, reason(refusal));
  const kept = Int32Array.from(Array(count).keys()).filter((position) => !failures.has(position));
  return {
    images: bad.length === 0 ? images : compact(images, kept, size),
    kept,
    skipped: bad.map((position) => ({ file: name(position), reason: reason(position) })),
  };
}

function refuse(file: string, error: Error, reason: string): UserError {
  if (error instanceof UserError) return error;
  return new UserError(
    `${file}: cannot be decoded (${reason}); replace it, or skip such images with --on-bad-image skip`,
    { cause: error },
  );
}

function compact(images: Uint8Array, kept: Int32Array, size: number): Uint8Array {
  const compacted = new Uint8Array(kept.length * size);
  kept.forEach((from, to) => compacted.set(images.subarray(from * size, (from + 1) * size), to * size));
  return compacted;
}
