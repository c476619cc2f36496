/**
 * MedMNIST's NPZ (medmnist.com): a zip of `train_images`, `train_labels` and the same for `val` and `test`. Images are
 * uint8 (n, h, w) or (n, h, w, 1 or 3), labels integers (n) or (n, 1). Classes are named by their number.
 * Refused: multi-label and volumetric sets, missing labels, arrays beyond the limits (limits.ts).
 */
import { readBounded } from '../common/bounded-file.ts';
import { toError, UserError } from '../common/errors.ts';
import {
  MAX_ARCHIVE_BYTES,
  MAX_ARRAY_BYTES,
  MAX_IMAGES,
  MAX_LABEL_BYTES,
  MAX_UNPACKED_BYTES,
} from './limits.ts';
import { npyValues, parseNpy, type Npy } from './npy.ts';
import { checkLabels, numberedIds, type Items, type Pixels, type Source } from './source.ts';
import { type Member, readDirectory, unpackMember } from './zip.ts';

const SHOWN_NAMES = 10;
const SPLITS = { train: 'train', validation: 'val', test: 'test' } as const;
const WANTED = Object.values(SPLITS).flatMap((prefix) => [`${prefix}_images`, `${prefix}_labels`]);
/** Where images without labels may be; the first that is there is read. */
const UNLABELLED = ['train_images', 'unlabelled_images', 'images', 'x_train', 'x'];

type Arrays = ReadonlyMap<string, Uint8Array>;

/** Reads an NPZ file. Throws UserError that names the file and the array. */
export async function readNpz(file: string): Promise<Source> {
  const { arrays, names } = await unpack(file, WANTED);
  const train = readSplit(file, arrays, SPLITS.train);
  if (!train)
    throw new UserError(
      `${file}: has no array train_images (here are: ${names || 'none'}); a MedMNIST file has train_images, train_labels and so on`,
    );
  const largest = train.labels.reduce((max, label) => Math.max(max, label), 0);
  const classes = Array.from({ length: largest + 1 }, (_, label) => String(label));
  const validation = readSplit(file, arrays, SPLITS.validation);
  const test = readSplit(file, arrays, SPLITS.test);
  for (const [name, items] of Object.entries({ train, val: validation, test }))
    if (items) checkLabels(items.labels, classes.length, `${file}: ${name}_labels`);
  return { classes, train, validation, test, skipped: [] };
}

/** The images of a file that need no labels: its train images, never those of validation or test. */
export async function readNpzImages(file: string): Promise<Pixels & { kind: 'raw' }> {
  const { arrays, names } = await unpack(file, UNLABELLED);
  const name = UNLABELLED.find((candidate) => arrays.has(candidate));
  if (name === undefined)
    throw new UserError(
      `${file}: has no array of images (here are: ${names || 'none'}); name it ${UNLABELLED.join(', ')}`,
    );
  return parseImages(arrays.get(name)!, `${file}: ${name}`);
}

/** The arrays that are wanted, as NPY files, and the names of all for messages. */
async function unpack(
  file: string,
  wantedNames: readonly string[],
): Promise<{ arrays: Arrays; names: string }> {
  const archive = await readBounded(file, MAX_ARCHIVE_BYTES);
  try {
    const members = readDirectory(archive);
    const wanted = members.filter(({ name }) => wantedNames.includes(name.replace(/\.npy$/, '')));
    checkSizes(file, wanted);
    const arrays = new Map<string, Uint8Array>();
    for (const member of wanted)
      arrays.set(member.name.replace(/\.npy$/, ''), await unpackMember(archive, member));
    const names = members.slice(0, SHOWN_NAMES).map(({ name }) => name.replace(/\.npy$/, '').slice(0, 40));
    return { arrays, names: names.join(', ') };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: not a readable NPZ (zip) file (${toError(error).message}); fetch it again`);
  }
}

function checkSizes(file: string, members: readonly Member[]): void {
  let total = 0;
  for (const { name, bytes } of members) {
    const limit = name.endsWith('_labels.npy') ? MAX_LABEL_BYTES : MAX_ARRAY_BYTES;
    if (bytes > limit)
      throw new UserError(
        `${file}: array ${name} unpacks to ${bytes} bytes, above the limit of ${limit}; use a smaller image size of this data set`,
      );
    total += bytes;
  }
  if (total > MAX_UNPACKED_BYTES)
    throw new UserError(
      `${file}: its arrays unpack to ${total} bytes, above the limit of ${MAX_UNPACKED_BYTES}; use a smaller image size of this data set`,
    );
}

function readSplit(file: string, arrays: Arrays, prefix: string): Items | null {
  const imagesFile = arrays.get(`${prefix}_images`);
  const labelsFile = arrays.get(`${prefix}_labels`);
  if (!imagesFile) return null;
  if (!labelsFile)
    throw new UserError(
      `${file}: has ${prefix}_images but no ${prefix}_labels; labels are needed to train and to test a classifier`,
    );
  const labels = parseNpy(labelsFile, `${file}: ${prefix}_labels`);
  const pixels = parseImages(imagesFile, `${file}: ${prefix}_images`);
  const count = pixels.data.length / (pixels.height * pixels.width * pixels.channels);
  return {
    labels: singleLabels(labels, count, `${file}: ${prefix}_labels`),
    ids: numberedIds(prefix, count),
    groups: null,
    pixels,
  };
}

function parseImages(file: Uint8Array, where: string): Pixels & { kind: 'raw' } {
  const images = parseNpy(file, where);
  const [count = 0, height = 0, width = 0, channels = 1, ...more] = images.shape;
  const isImages =
    images.shape.length >= 3 && more.length === 0 && (channels === 1 || channels === 3) && height * width > 0;
  if (images.descr !== '|u1' || !isImages)
    throw new UserError(
      `${where}: is ${images.descr} of shape (${images.shape.join(', ')}); needed is uint8 (n, h, w) or (n, h, w, 1 or 3)`,
    );
  if (count > MAX_IMAGES)
    throw new UserError(`${where}: ${count} images are more than the limit of ${MAX_IMAGES}`);
  return { kind: 'raw', data: images.bytes, height, width, channels };
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
