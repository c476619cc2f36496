/**
 * IDX, the format of MNIST and its kin: big-endian magic 0x00 0x00 type rank, then the extents, then the values
 * (http://yann.lecun.com/exdb/mnist/). Read here: unsigned bytes, images of rank 3 and labels of rank 1, plain or
 * gzipped (by content), under their usual names with anything in front. Refused: other types and ranks, truncated files, more than the limits.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../common/bounded-file.ts';
import { toError, UserError } from '../common/errors.ts';
import { gunzipPromised, MoreThanPromised } from './promised-bytes.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARRAY_BYTES, MAX_IMAGES } from './limits.ts';
import { simpleLayout } from './layout/layout.ts';
import { chooseScale, joinRanges, NO_RANGE, rangeOf, toScaledBytes, type Range } from './scale.ts';
import { classesOf, numberedIds, positionsOf, type Items, type Pixels, type Source } from './source.ts';

const UNSIGNED_BYTE = 0x08;

export const IDX_FILES = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
} as const;

type IdxSplit = 'train' | 'validation' | 'test';
type RawPixels = Pixels & { kind: 'raw' };

/** A file of images by its name: `train-images-idx3-ubyte`, `emnist-letters-test-images.idx3-ubyte.gz`. */
interface IdxFile {
  readonly name: string;
  /** The part before the split's name: the data set, where a folder holds several. */
  readonly set: string;
  readonly split: IdxSplit;
}

const SPLIT_WORDS: Readonly<Record<string, IdxSplit>> = {
  train: 'train',
  test: 'test',
  t10k: 'test',
  val: 'validation',
  valid: 'validation',
};

function imageFiles(folder: string): IdxFile[] {
  return readdirSync(folder).flatMap((name) => {
    const match = /^(.*?)(train|test|t10k|valid|val)-images[-.]idx3-ubyte(?:\.gz)?$/i.exec(name);
    return match ? [{ name, set: match[1]!, split: SPLIT_WORDS[match[2]!.toLowerCase()]! }] : [];
  });
}

/** Whether `folder` holds the train images of an IDX data set. */
export function isIdxFolder(folder: string): boolean {
  try {
    return imageFiles(folder).some(({ split }) => split === 'train');
  } catch {
    return false; // the folder does not exist, or is unreadable: callers that need it report that
  }
}

/**
 * The data set in `folder`. `names`: class names in label order; null: the labels that occur in train.
 * Throws UserError for missing, foreign or truncated files and labels outside the classes.
 */
export async function readIdxFolder(folder: string, names: readonly string[] | null): Promise<Source> {
  const files = trainSet(folder);
  const pairs = new Map<IdxSplit, Pair>();
  for (const { name, split } of files) pairs.set(split, await readPair(folder, name));
  const train = pairs.get('train')!;
  const scale = chooseScale(
    [...pairs.values()].map(({ range }) => range).reduce(joinRanges, NO_RANGE),
    false,
  );
  const classes = names ?? classesOf(train.labels);
  const items = (split: IdxSplit): Items | null => {
    const pair = pairs.get(split);
    if (!pair) return null;
    const { pixels, labels, labelsFile } = pair;
    return {
      labels: positionsOf(names ? labels.map((label) => names[label] ?? label) : labels, classes, labelsFile),
      ids: numberedIds(split === 'validation' ? 'val' : split, labels.length),
      groups: null,
      pixels: scale.note === null ? pixels : { ...pixels, data: toScaledBytes(pixels.data, scale) },
    };
  };
  const layout = simpleLayout('idx', `IDX files ${files.map(({ name }) => name).join(', ')}`);
  const doubts = scale.note === null ? [] : [`${folder}: ${scale.note}`];
  return {
    classes,
    ...{ train: items('train')!, validation: items('validation'), test: items('test') },
    skipped: [],
    layout: { ...layout, doubts },
  };
}

/** The files of the only data set in `folder`, one per split. */
function trainSet(folder: string): IdxFile[] {
  const files = imageFiles(folder);
  const sets = new Set(files.filter(({ split }) => split === 'train').map(({ set }) => set));
  if (sets.size === 0)
    throw new UserError(`${folder}: no ${IDX_FILES.trainImages}[.gz] here; name the folder that holds it`);
  if (sets.size > 1)
    throw new UserError(
      `${folder}: holds several IDX data sets (${[...sets].map((set) => set || 'one without a name').join(', ')}); move the files of one into a separate folder`,
    );
  const inSet = files.filter(({ set }) => sets.has(set));
  return (['train', 'validation', 'test'] as const).flatMap((split) => {
    const found = inSet.filter((file) => file.split === split);
    return found.length > 0 ? [found.find(({ name }) => !name.endsWith('.gz')) ?? found[0]!] : [];
  });
}

interface Pair {
  readonly pixels: RawPixels;
  readonly range: Range;
  readonly labels: readonly number[];
  readonly labelsFile: string;
}

async function readPair(folder: string, name: string): Promise<Pair> {
  const wanted = name.replace(/\.gz$/i, '').replace('-images', '-labels').replace('idx3', 'idx1');
  const labelsFile = [wanted, `${wanted}.gz`]
    .map((file) => join(folder, file))
    .find((file) => existsSync(file));
  if (labelsFile === undefined)
    throw new UserError(
      `${folder}: ${name.replace(/\.gz$/i, '')} is here but its labels ${wanted}[.gz] are not`,
    );
  const imagesFile = join(folder, name);
  const [pixels, values] = await Promise.all([readIdx(imagesFile, 3), readIdx(labelsFile, 1)]);
  const [count, height, width] = pixels.shape as [number, number, number];
  if (values.data.length !== count)
    throw new UserError(
      `${labelsFile}: ${values.data.length} labels for the ${count} images of ${imagesFile}; they belong to different data`,
    );
  return {
    pixels: { kind: 'raw', data: pixels.data, height, width, channels: 1 },
    range: rangeOf(pixels.data, imagesFile),
    labels: Array.from(values.data),
    labelsFile,
  };
}

/** The images of an IDX file, or of the train images in a folder; labels are not looked at. */
export async function readIdxImages(path: string): Promise<RawPixels> {
  const file = isIdxFolder(path)
    ? join(path, trainSet(path).find(({ split }) => split === 'train')!.name)
    : path;
  const { shape, data } = await readIdx(file, 3);
  return { kind: 'raw', data, height: shape[1]!, width: shape[2]!, channels: 1 };
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
