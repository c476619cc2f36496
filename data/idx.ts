/**
 * IDX, the format of MNIST and its kin: big-endian magic 0x00 0x00 type rank, then the extents, then the values
 * (http://yann.lecun.com/exdb/mnist/). Read here: unsigned bytes, images of rank 3 and labels of rank 1, plain or
 * gzipped, under the four standard file names. Refused: other types and ranks, truncated files, more than the limits.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../common/bounded-file.ts';
import { toError, UserError } from '../common/errors.ts';
import { gunzipPromised, MoreThanPromised } from './inflate.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARRAY_BYTES, MAX_IMAGES } from './limits.ts';
import { checkLabels, numberedIds, type Items, type Pixels, type Source } from './source.ts';

const UNSIGNED_BYTE = 0x08;

export const IDX_FILES = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
} as const;

/** Whether `folder` holds the train images of an IDX data set. */
export function isIdxFolder(folder: string): boolean {
  return findIdx(folder, IDX_FILES.trainImages) !== null;
}

/**
 * The data set in `folder`. `names`: class names in label order; null: the labels themselves, 0 to the largest.
 * Throws UserError for missing, foreign or truncated files and labels outside the classes.
 */
export async function readIdxFolder(folder: string, names: readonly string[] | null): Promise<Source> {
  const train = await readPair(folder, 'train', IDX_FILES.trainImages, IDX_FILES.trainLabels);
  if (!train)
    throw new UserError(`${folder}: no ${IDX_FILES.trainImages}[.gz] here; name the folder that holds it`);
  const test = await readPair(folder, 'test', IDX_FILES.testImages, IDX_FILES.testLabels);
  const largest = train.labels.reduce((max, label) => Math.max(max, label), 0);
  const classes = names ?? Array.from({ length: largest + 1 }, (_, label) => String(label));
  checkLabels(train.labels, classes.length, join(folder, IDX_FILES.trainLabels));
  if (test) checkLabels(test.labels, classes.length, join(folder, IDX_FILES.testLabels));
  return { classes, train, validation: null, test, skipped: [] };
}

async function readPair(
  folder: string,
  split: string,
  images: string,
  labels: string,
): Promise<Items | null> {
  const imagesFile = findIdx(folder, images);
  if (!imagesFile) return null;
  const labelsFile = findIdx(folder, labels);
  if (!labelsFile) throw new UserError(`${folder}: ${images} is here but its labels ${labels}[.gz] are not`);
  const [pixels, values] = await Promise.all([readIdx(imagesFile, 3), readIdx(labelsFile, 1)]);
  const [count, height, width] = pixels.shape as [number, number, number];
  if (values.data.length !== count)
    throw new UserError(
      `${labelsFile}: ${values.data.length} labels for the ${count} images of ${imagesFile}; they belong to different data`,
    );
  return {
    labels: Int32Array.from(values.data),
    ids: numberedIds(split, count),
    groups: null,
    pixels: { kind: 'raw', data: pixels.data, height, width, channels: 1 },
  };
}

/** The images of an IDX file, or of the train images in a folder; labels are not looked at. */
export async function readIdxImages(path: string): Promise<Pixels & { kind: 'raw' }> {
  const { shape, data } = await readIdx(findIdx(path, IDX_FILES.trainImages) ?? path, 3);
  return { kind: 'raw', data, height: shape[1]!, width: shape[2]!, channels: 1 };
}

function findIdx(folder: string, name: string): string | null {
  for (const candidate of [name, `${name}.gz`, name.replace('-idx', '.idx')])
    if (existsSync(join(folder, candidate))) return join(folder, candidate);
  return null;
}

/** One IDX file of unsigned bytes with `rank` extents. Throws UserError naming the file. */
export async function readIdx(file: string, rank: number): Promise<{ shape: number[]; data: Uint8Array }> {
  const headerBytes = 4 + 4 * rank;
  const bytes = await readUnpacked(file, rank, headerBytes);
  const shape = readShape(file, bytes, rank, headerBytes);
  const size = sizeOf(shape);
  if (bytes.length - headerBytes !== size)
    throw new UserError(
      `${file}: holds ${bytes.length - headerBytes} values where its header promises ${size} (${shape.join(' x ')}); truncated? fetch it again`,
    );
  return { shape, data: bytes.subarray(headerBytes) };
}

/** The extents that the header tells, within the limits. */
function readShape(file: string, bytes: Uint8Array, rank: number, headerBytes: number): number[] {
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0)
    throw new UserError(`${file}: not an IDX file (its first bytes are not an IDX magic number)`);
  if (bytes[2] !== UNSIGNED_BYTE || bytes[3] !== rank)
    throw new UserError(
      `${file}: IDX magic names type 0x${bytes[2]!.toString(16).padStart(2, '0')} of rank ${bytes[3]}; needed are unsigned bytes (0x08) of rank ${rank}`,
    );
  if (bytes.length < headerBytes) throw new UserError(`${file}: truncated in its header; fetch it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (shape[0]! > MAX_IMAGES)
    throw new UserError(
      `${file}: its header promises ${shape[0]} items, above the limit of ${MAX_IMAGES}; refused`,
    );
  if (sizeOf(shape) > MAX_ARRAY_BYTES || sizeOf(shape.slice(1)) === 0)
    throw new UserError(
      `${file}: its header promises images of ${shape.slice(1).join(' x ')} and ${sizeOf(shape)} bytes in all; allowed are 1 to ${MAX_ARRAY_BYTES}`,
    );
  return shape;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

async function readUnpacked(file: string, rank: number, headerBytes: number): Promise<Uint8Array> {
  const bytes = await readBounded(file, MAX_ARCHIVE_BYTES);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await gunzipPromised(
      bytes,
      headerBytes,
      (head) => headerBytes + sizeOf(readShape(file, head, rank, headerBytes)),
    );
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (error instanceof MoreThanPromised)
      throw new UserError(`${file}: unpacks to more than its header promises; refused`);
    throw new UserError(
      `${file}: gzip data is damaged or cut off (${toError(error).message}); fetch it again`,
    );
  }
}
