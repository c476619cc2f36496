/**
 * From `Pixels` to bytes [n, height, width, channels]: files are decoded by sharp (the EXIF turn applied, transparency
 * laid on black), scaled to cover the square and cropped to its centre (Lanczos 3). Results come in input order
 * whatever the order of decoding. Refused: what is no picture of pixels, and images and sets beyond limits.ts.
 */
import sharp, { type Sharp } from 'sharp';
import { toError, UserError } from '../common/errors.ts';
import { checkImageFile } from './image-header.ts';
import { MAX_ARRAY_BYTES, MAX_DECODE_SECONDS, MAX_IMAGE_PIXELS } from './limits.ts';
import type { Pixels, SkippedImage } from './source.ts';

const CONCURRENT = 8;

export interface Shape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Decoded {
  readonly images: Uint8Array;
  /** Positions (ascending) of the inputs that `images` holds: all but the skipped ones. */
  readonly kept: Int32Array;
  readonly skipped: readonly SkippedImage[];
}

/**
 * The shape that images of `pixels` get. `imageSize` and `channels` null: taken from the data (the first file;
 * grey only when `samples`, positions of files to look at, are all grey).
 */
export async function chooseShape(
  pixels: Pixels,
  imageSize: number | null,
  channels: number | null,
  samples: readonly number[],
): Promise<Shape> {
  if (pixels.kind === 'raw')
    return {
      height: imageSize ?? pixels.height,
      width: imageSize ?? pixels.width,
      channels: channels ?? pixels.channels,
    };
  const found: Shape[] = [];
  for (const position of samples) {
    const shape = await probe(pixels.files[position]!);
    if (shape) found.push(shape);
  }
  const first = found[0];
  if (!first)
    throw new UserError(`${pixels.files[0]}: neither it nor others looked at can be decoded as an image`);
  return {
    height: imageSize ?? first.height,
    width: imageSize ?? first.width,
    channels: channels ?? (found.every((shape) => shape.channels === 1) ? 1 : 3),
  };
}

async function probe(file: string): Promise<Shape | null> {
  try {
    await checkImageFile(file);
    const { autoOrient, channels } = await sharp(file, { limitInputPixels: MAX_IMAGE_PIXELS }).metadata();
    return { height: autoOrient.height, width: autoOrient.width, channels: channels < 3 ? 1 : 3 };
  } catch {
    return null; // named when it is decoded
  }
}

/**
 * All of `pixels` at `shape`. `resize` false: a file of another size is refused, with advice. A file that cannot be
 * decoded is skipped and recorded, or refused (UserError), as `onBadImage` says.
 */
export async function decode(
  pixels: Pixels,
  shape: Shape,
  resize: boolean,
  onBadImage: 'skip' | 'fail',
): Promise<Decoded> {
  const size = shape.height * shape.width * shape.channels;
  const count = countImages(pixels);
  if (count * size > MAX_ARRAY_BYTES)
    throw new UserError(
      `data.imageSize: ${count} images of ${shape.width} x ${shape.height} x ${shape.channels} need ${Math.ceil((count * size) / 2 ** 20)} MiB, above the limit of ${MAX_ARRAY_BYTES / 2 ** 20}; set a smaller data.imageSize`,
    );
  const unchanged =
    pixels.kind === 'raw' &&
    pixels.height === shape.height &&
    pixels.width === shape.width &&
    pixels.channels === shape.channels;
  if (unchanged)
    return { images: pixels.data, kept: Int32Array.from({ length: count }, (_, i) => i), skipped: [] };
  sharp.concurrency(1); // images are small: one thread each, several at once
  sharp.cache(false);
  return decodeEach(pixels, count, shape, resize, onBadImage);
}

/** How many images there are. */
export function countImages(pixels: Pixels): number {
  if (pixels.kind === 'files') return pixels.files.length;
  return pixels.data.length / (pixels.height * pixels.width * pixels.channels);
}

async function decodeEach(
  pixels: Pixels,
  count: number,
  shape: Shape,
  resize: boolean,
  onBadImage: 'skip' | 'fail',
): Promise<Decoded> {
  const size = shape.height * shape.width * shape.channels;
  const images = new Uint8Array(count * size);
  const failures = new Map<number, Error>();
  let next = 0;
  let isRefused = false;
  const work = async (): Promise<void> => {
    while (next < count && !isRefused) {
      const position = next++;
      try {
        images.set(await decodeOne(pixels, position, shape, resize), position * size);
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

async function decodeOne(
  pixels: Pixels,
  position: number,
  { height, width, channels }: Shape,
  resize: boolean,
): Promise<Uint8Array> {
  if (pixels.kind === 'files') await checkImageFile(pixels.files[position]!);
  const upright = open(pixels, position).autoOrient().flatten({ background: '#000' });
  const sized = resize
    ? upright.resize(width, height, { fit: 'cover', kernel: 'lanczos3', fastShrinkOnLoad: false })
    : upright;
  const { data, info } = await sized
    .timeout({ seconds: MAX_DECODE_SECONDS })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.height !== height || info.width !== width)
    throw new UserError(
      `${pixels.kind === 'files' ? pixels.files[position] : position}: is ${info.width} x ${info.height} where others are ${width} x ${height}; set data.imageSize (--image-size) to bring all to one size`,
    );
  if (info.channels !== channels) throw new Error(`decodes to ${info.channels} channels, not ${channels}`);
  return data;
}

function open(pixels: Pixels, position: number): Sharp {
  if (pixels.kind === 'files') return sharp(pixels.files[position], { limitInputPixels: MAX_IMAGE_PIXELS });
  const { height, width, data } = pixels;
  const channels = pixels.channels as 1 | 3;
  const size = height * width * channels;
  return sharp(data.subarray(position * size, (position + 1) * size), { raw: { height, width, channels } });
}
