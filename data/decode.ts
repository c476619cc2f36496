/**
 * From `Pixels` to bytes [n, height, width, channels], several images at once. Results come in input order whatever the
 * order of decoding. Files of a large set are decoded once into the image cache, and images that do not fit into memory
 * are read from there. Refused: files that are not raster images, and images and sets beyond limits.ts.
 */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { readBounded } from '../common/bounded-file.ts';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { writeFailure } from '../common/files.ts';
import { boundImageCache, ImageCache, imageCacheFolder } from './cache/image-cache.ts';
import { PackedImages, type Place } from './cache/packed-images.ts';
import { decodeOne, type Wanted } from './image-decoder.ts';
import { IN_MEMORY_BYTES, type Images } from './images.ts';
import { MAX_ARRAY_BYTES, MAX_IMAGE_FILE_BYTES } from './limits.ts';
import type { Pixels, SkippedImage } from './source.ts';

export type { Shape } from './survey.ts';

const CONCURRENT = 8;
/** Files of smaller sets are decoded each time: that takes about a second. */
const CACHED_FROM_BYTES = 2 ** 24;
/** Of the cache: changes whenever the same file and `Wanted` would give other bytes. */
const CACHE_VERSION = 2;
const PROGRESS_EVERY_MS = 500;

export interface DecodeProgress {
  readonly done: number;
  readonly count: number;
  /** Since the decoding of this part of the data began. */
  readonly seconds: number;
}

export interface Decoded {
  readonly images: Images;
  /** Positions (ascending) of the inputs that `images` holds: all but the skipped ones. */
  readonly kept: Int32Array;
  readonly skipped: readonly SkippedImage[];
}

/**
 * All of `pixels` as `wanted`. A file of another size is refused, with advice, unless it may be resized. A file that
 * cannot be decoded is skipped and recorded, or refused (UserError), as `onBadImage` says.
 */
export async function decode(
  pixels: Pixels,
  wanted: Wanted,
  onBadImage: 'skip' | 'fail',
  onProgress: (progress: DecodeProgress) => void = () => undefined,
): Promise<Decoded> {
  const size = wanted.height * wanted.width * wanted.channels;
  const count = countImages(pixels);
  const cache =
    pixels.kind === 'files' && count * size >= CACHED_FROM_BYTES ? await openCache(wanted, count) : null;
  if (cache === null && count * size > MAX_ARRAY_BYTES)
    throw new UserError(
      `data.imageSize: ${count} images of ${wanted.width} x ${wanted.height} x ${wanted.channels} need ${Math.ceil((count * size) / 2 ** 20)} MiB, above the limit of ${MAX_ARRAY_BYTES / 2 ** 20}; set a smaller data.imageSize${pixels.kind === 'files' ? ', or let them be cached on disk (BALLAST_IMAGE_CACHE names the folder)' : ''}`,
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
  const job: DecodeJob = { pixels, wanted, onBadImage, onProgress };
  return cache === null || pixels.kind !== 'files'
    ? decodeToMemory(job)
    : decodeToCache({ ...job, files: pixels.files }, cache);
}

interface DecodeJob {
  readonly pixels: Pixels;
  readonly wanted: Wanted;
  readonly onBadImage: 'skip' | 'fail';
  readonly onProgress: (progress: DecodeProgress) => void;
}

/** Null if there is no folder for it, or none can be created and the images fit into memory. */
async function openCache(wanted: Wanted, count: number): Promise<ImageCache | null> {
  const root = imageCacheFolder();
  const size = wanted.height * wanted.width * wanted.channels;
  if (root === null) return null;
  try {
    return await ImageCache.open(root, [CACHE_VERSION, sharp.versions.vips, wanted], size);
  } catch (thrown) {
    if (count * size <= MAX_ARRAY_BYTES) return null;
    throw cacheFailure(root, thrown);
  }
}

function cacheFailure(root: string, thrown: unknown): unknown {
  const failure = writeFailure(root, thrown);
  if (!(failure instanceof UserError)) return thrown;
  return new UserError(`the image cache: ${failure.message} BALLAST_IMAGE_CACHE names its folder`, {
    cause: thrown,
  });
}

async function decodeToMemory(job: DecodeJob): Promise<Decoded> {
  const { pixels, wanted } = job;
  const size = wanted.height * wanted.width * wanted.channels;
  const images = new Uint8Array(countImages(pixels) * size);
  const { kept, skipped } = await decodeEach(job, async (position) => {
    images.set(await decodeOne(pixels, position, wanted), position * size);
  });
  return { images: skipped.length === 0 ? images : compact(images, kept, size), kept, skipped };
}

/** Decodes those files whose content is not in the cache yet. */
async function decodeToCache(
  job: DecodeJob & { readonly files: readonly string[] },
  cache: ImageCache,
): Promise<Decoded> {
  const { pixels, files, wanted } = job;
  const size = wanted.height * wanted.width * wanted.channels;
  const places: Place[] = [];
  const work = async (position: number): Promise<void> => {
    const content = await readBounded(files[position]!, MAX_IMAGE_FILE_BYTES);
    const digest = createHash('sha256').update(content).digest('hex');
    places[position] =
      cache.find(digest) ?? (await cache.add(digest, await decodeOne(pixels, position, wanted)));
  };
  const decoding = decodeEach(job, work);
  await Promise.allSettled([decoding]);
  await cache.finish(); // whether it failed or not
  const { kept, skipped } = await decoding;
  const found = Array.from(kept, (position) => places[position]!);
  const packed = new PackedImages(found, size);
  await boundImageCache(imageCacheFolder()!, new Set(found.map(({ pack }) => pack)));
  return {
    images: packed.length <= IN_MEMORY_BYTES ? packed.subarray(0, packed.length) : packed,
    kept,
    skipped,
  };
}

/** How many images there are. */
export function countImages(pixels: Pixels): number {
  if (pixels.kind === 'files') return pixels.files.length;
  return pixels.data.length / (pixels.height * pixels.width * pixels.channels);
}

/** Does `work` for each image, and tells which of them failed, or throws for the first, as `onBadImage` says. */
async function decodeEach(
  { pixels, onBadImage, onProgress }: DecodeJob,
  decodeAt: (position: number) => Promise<void>,
): Promise<Pick<Decoded, 'kept' | 'skipped'>> {
  const count = countImages(pixels);
  const report = reporter(count, onProgress);
  const failures = new Map<number, Error>();
  let next = 0;
  let isRefused = false;
  const work = async (): Promise<void> => {
    while (next < count && !isRefused) {
      const position = next++;
      try {
        await decodeAt(position);
      } catch (error) {
        if (isCacheFailure(error)) throw cacheFailure(imageCacheFolder() ?? '', error);
        failures.set(position, toError(error));
        isRefused ||= onBadImage === 'fail' || error instanceof UserError;
      }
      report(next);
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
    kept,
    skipped: bad.map((position) => ({ file: name(position), reason: reason(position) })),
  };
}

/** A full disk, and not an image that cannot be read. */
function isCacheFailure(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS'].includes(errorCode(error) ?? '');
}

function reporter(count: number, onProgress: DecodeJob['onProgress']): (done: number) => void {
  const startMs = performance.now();
  let toldMs = startMs;
  return (done) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = nowMs;
    onProgress({ done, count, seconds: (nowMs - startMs) / 1000 });
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
