/**
 * MedMNIST's NPZ (medmnist.com): a zip of `train_images`, `train_labels` and the same for `val` and `test`. Images are
 * uint8 (n, h, w) or (n, h, w, 1 or 3), labels integers (n) or (n, 1). Classes are named by their number.
 * Refused: multi-label and volumetric sets, missing labels, arrays beyond `MAX_ARRAY_BYTES`.
 */
import { readFile } from 'node:fs/promises';
import { unzipSync, type Unzipped } from 'fflate';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { npyValues, parseNpy, type Npy } from './npy.ts';
import { checkLabels, numberedIds, type Items, type Source } from './source.ts';

const MAX_ARRAY_BYTES = 2 ** 31;
const SPLITS = { train: 'train', validation: 'val', test: 'test' } as const;
const WANTED = new Set(
  Object.values(SPLITS).flatMap((prefix) => [`${prefix}_images.npy`, `${prefix}_labels.npy`]),
);

/** Reads an NPZ file. Throws UserError that names the file and the array. */
export async function readNpz(file: string): Promise<Source> {
  const names: string[] = [];
  const arrays = await unpack(file, names);
  const train = readSplit(file, arrays, SPLITS.train);
  if (!train)
    throw new UserError(
      `${file}: has no array train_images (here are: ${names.join(', ') || 'none'}); a MedMNIST file has train_images, train_labels and so on`,
    );
  const largest = train.labels.reduce((max, label) => Math.max(max, label), 0);
  const classes = Array.from({ length: largest + 1 }, (_, label) => String(label));
  const validation = readSplit(file, arrays, SPLITS.validation);
  const test = readSplit(file, arrays, SPLITS.test);
  for (const [name, items] of Object.entries({ train, val: validation, test }))
    if (items) checkLabels(items.labels, classes.length, `${file}: ${name}_labels`);
  return { classes, train, validation, test, skipped: [] };
}

async function unpack(file: string, names: string[]): Promise<Unzipped> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new UserError(`${file}: cannot be read (${errorCode(error) ?? toError(error).message})`);
  }
  try {
    return unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        names.push(name.replace(/\.npy$/, ''));
        if (!WANTED.has(name)) return false;
        if (originalSize > MAX_ARRAY_BYTES)
          throw new UserError(
            `${file}: array ${name} unpacks to ${originalSize} bytes, above the limit of ${MAX_ARRAY_BYTES}; use a smaller image size of this data set`,
          );
        return true;
      },
    });
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: not a readable NPZ (zip) file (${toError(error).message}); fetch it again`);
  }
}

function readSplit(file: string, arrays: Unzipped, prefix: string): Items | null {
  const imagesFile = arrays[`${prefix}_images.npy`];
  const labelsFile = arrays[`${prefix}_labels.npy`];
  if (!imagesFile) return null;
  if (!labelsFile)
    throw new UserError(
      `${file}: has ${prefix}_images but no ${prefix}_labels; labels are needed to train and to test a classifier`,
    );
  const where = `${file}: ${prefix}_images`;
  const images = parseNpy(imagesFile, where);
  const labels = parseNpy(labelsFile, `${file}: ${prefix}_labels`);
  const [count = 0, height = 0, width = 0, channels = 1, ...more] = images.shape;
  const isImages = images.shape.length >= 3 && more.length === 0 && (channels === 1 || channels === 3);
  if (images.descr !== '|u1' || !isImages)
    throw new UserError(
      `${where}: is ${images.descr} of shape (${images.shape.join(', ')}); needed is uint8 (n, h, w) or (n, h, w, 1 or 3)`,
    );
  return {
    labels: singleLabels(labels, count, `${file}: ${prefix}_labels`),
    ids: numberedIds(prefix, count),
    groups: null,
    pixels: { kind: 'raw', data: images.bytes, height, width, channels },
  };
}

function singleLabels(labels: Npy, images: number, where: string): Int32Array {
  const [count = 0, columns = 1] = labels.shape;
  if (columns !== 1 || labels.shape.length > 2)
    throw new UserError(
      `${where}: shape (${labels.shape.join(', ')}) gives an image ${columns} labels; only one label an image is supported`,
    );
  if (count !== images) throw new UserError(`${where}: ${count} labels for ${images} images`);
  const values = npyValues(labels);
  checkLabels(values, 2 ** 16, where);
  return Int32Array.from(values);
}
