/**
 * NPZ as MedMNIST (train_images, train_labels, the same for val and test) and Keras (x_train, y_train) write it. Images
 * are (n, h, w), (n, h, w, 1, 3 or 4) or (n, 1 or 3, h, w) of any number type, scaled to bytes by the range of all of
 * them (scale.ts); labels are whole numbers, texts, or rows with a single 1. Classes are those of the train labels.
 * Refused: multi-label and volumetric sets, missing labels, arrays beyond the limits (limits.ts).
 */
import { toError, UserError } from '../common/errors.ts';
import { simpleLayout } from './layout/layout.ts';
import { MAX_ARRAY_BYTES, MAX_IMAGES, MAX_LABEL_BYTES, MAX_UNPACKED_BYTES } from './limits.ts';
import { isFloat, isText, npyFloats, npyTexts, npyValues, parseNpy, type Npy } from './npy.ts';
import { chooseScale, joinRanges, NO_RANGE, rangeOf, toScaledBytes, type Scale } from './scale.ts';
import { classesOf, numberedIds, positionsOf, type Items, type Pixels, type Source } from './source.ts';
import { type Member, withMembers } from './zip.ts';

type RawPixels = Pixels & { kind: 'raw' };

const SHOWN_NAMES = 10;
const SPLITS = ['train', 'validation', 'test'] as const;
/** Names of the arrays of images and labels, by split; the first pair whose images are there is read. */
const PAIRS: Readonly<Record<(typeof SPLITS)[number], readonly (readonly [string, string])[]>> = {
  train: pairs(['train'], [['images', 'labels'], ['x', 'y']]),
  validation: pairs(['val', 'valid', 'validation']),
  test: pairs(['test']),
}; // prettier-ignore
/** Where images without labels may be; the first that is there is read. */
const UNLABELLED = ['train_images', 'unlabelled_images', 'images', 'x_train', 'X_train', 'x'];

function pairs(
  words: readonly string[],
  more: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  return [
    ...words.flatMap((word) => [
      [`${word}_images`, `${word}_labels`] as const,
      [`x_${word}`, `y_${word}`] as const,
      [`X_${word}`, `y_${word}`] as const,
    ]),
    ...more,
  ];
}

type Arrays = ReadonlyMap<string, Uint8Array>;

/** Reads an NPZ file. Throws UserError that names the file and the array. */
export async function readNpz(file: string): Promise<Source> {
  const { arrays, names } = await unpack(file, Object.values(PAIRS).flat(2));
  const found = SPLITS.map((split) => openPair(file, arrays, split));
  const train = found[0];
  if (!train)
    throw new UserError(
      `${file}: has no array train_images (here are: ${names || 'none'}); a MedMNIST file has train_images, train_labels and so on`,
    );
  const shapes = found.map((pair) => pair && imageShape(pair.images, pair.imagesAt));
  const scale = jointScale(
    found.flatMap((pair) => (pair ? [{ npy: pair.images, where: pair.imagesAt }] : [])),
  );
  const classes = classesOf(train.labels);
  const items = found.map((pair, i): Items | null => {
    if (!pair) return null;
    const shape = shapes[i]!;
    return {
      labels: positionsOf(pair.labels, classes, pair.labelsAt),
      ids: numberedIds(pair.name, shape.count),
      groups: null,
      pixels: toPixels(pair.images, shape, scale),
    };
  });
  const layout = simpleLayout('arrays', ...found.flatMap((pair) => (pair ? [`${pair.imagesAt} with ${pair.labelsAt.slice(file.length + 2)}`] : []))); // prettier-ignore
  const doubts = scale.note === null ? [] : [`${file}: ${scale.note}`];
  return {
    classes,
    train: items[0]!,
    validation: items[1]!,
    test: items[2]!,
    skipped: [],
    layout: { ...layout, doubts },
  };
}

/** The images of a file that need no labels: its train images, never those of validation or test. */
export async function readNpzImages(file: string): Promise<RawPixels> {
  const { arrays, names } = await unpack(file, UNLABELLED);
  const name = UNLABELLED.find((candidate) => arrays.has(candidate));
  if (name === undefined)
    throw new UserError(
      `${file}: has no array of images (here are: ${names || 'none'}); name it ${UNLABELLED.join(', ')}`,
    );
  const where = `${file}: ${name}`;
  const npy = parseNpy(arrays.get(name)!, where);
  return toPixels(npy, imageShape(npy, where), jointScale([{ npy, where }]));
}

/** The arrays that are wanted, as NPY files, and the names of all for messages. */
async function unpack(
  file: string,
  wantedNames: readonly string[],
): Promise<{ arrays: Arrays; names: string }> {
  const nameOf = ({ name }: Member) => name.replace(/\.npy$/, '');
  try {
    return await withMembers(file, async (members) => {
      const wanted = members.filter((member) => wantedNames.includes(nameOf(member)));
      checkSizes(file, wanted);
      const arrays = new Map<string, Uint8Array>();
      for (const member of wanted) arrays.set(nameOf(member), await member.unpack());
      const names = members.slice(0, SHOWN_NAMES).map((member) => nameOf(member).slice(0, 40));
      return { arrays, names: names.join(', ') };
    });
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

interface Pair {
  /** `train`, `val` or `test`, for ids. */
  readonly name: string;
  readonly images: Npy;
  readonly labels: readonly (string | number)[];
  readonly imagesAt: string;
  readonly labelsAt: string;
}

function openPair(file: string, arrays: Arrays, split: (typeof SPLITS)[number]): Pair | null {
  const names = PAIRS[split].find(([images]) => arrays.has(images));
  if (!names) return null;
  const [imagesName, labelsName] = names;
  const labelsFile = arrays.get(labelsName);
  if (!labelsFile)
    throw new UserError(
      `${file}: has ${imagesName} but no ${labelsName}; labels are needed to train and to test a classifier`,
    );
  const imagesAt = `${file}: ${imagesName}`;
  const labelsAt = `${file}: ${labelsName}`;
  const images = parseNpy(arrays.get(imagesName)!, imagesAt);
  imageShape(images, imagesAt); // refused before labels are looked at
  const labels = singleLabels(parseNpy(labelsFile, labelsAt), images.shape[0] ?? 0, labelsAt);
  return { name: split === 'validation' ? 'val' : split, images, labels, imagesAt, labelsAt };
}

interface ArrayShape {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** As stored: 4 has transparency. */
  readonly channels: number;
  /** (n, c, h, w), as PyTorch has it. */
  readonly isChannelsFirst: boolean;
}

function imageShape(images: Npy, where: string): ArrayShape {
  const { shape } = images;
  const [count = 0, a = 0, b = 0, c = 1] = shape;
  const isLast = shape.length === 3 || (shape.length === 4 && (c === 1 || c === 3 || c === 4));
  const isFirst = !isLast && shape.length === 4 && (a === 1 || a === 3);
  if (isText(images) || !(isLast || isFirst) || a * b * c === 0)
    throw new UserError(
      `${where}: is ${images.descr} of shape (${shape.join(', ')}); needed is (n, h, w), (n, h, w, 1, 3 or 4) or (n, 1 or 3, h, w)${shape.length > 3 ? ': volumes are not read, save slices' : ''}`,
    );
  if (count > MAX_IMAGES)
    throw new UserError(`${where}: ${count} images are more than the limit of ${MAX_IMAGES}`);
  return isLast
    ? { count, height: a, width: b, channels: c, isChannelsFirst: false }
    : { count, height: b, width: c, channels: a, isChannelsFirst: true };
}

/** One scale for all arrays, by the range of all. */
function jointScale(arrays: readonly { npy: Npy; where: string }[]): Scale {
  const ranges = arrays.map(({ npy, where }) =>
    rangeOf(npy.descr === '|u1' ? npy.bytes : npyFloats(npy), where),
  );
  return chooseScale(
    ranges.reduce(joinRanges, NO_RANGE),
    arrays.some(({ npy }) => isFloat(npy)),
  );
}

function toPixels(images: Npy, shape: ArrayShape, scale: Scale): RawPixels {
  const { height, width, channels } = shape;
  const isBytes = images.descr === '|u1' && scale.note === null;
  let data = isBytes
    ? images.bytes
    : toScaledBytes(images.descr === '|u1' ? images.bytes : npyFloats(images), scale);
  if (shape.isChannelsFirst) data = channelsLast(data, shape);
  if (channels === 4) data = withoutTransparency(data);
  return { kind: 'raw', data, height, width, channels: channels === 4 ? 3 : channels };
}

function channelsLast(data: Uint8Array, { count, height, width, channels }: ArrayShape): Uint8Array {
  const out = new Uint8Array(data.length);
  const plane = height * width;
  for (let i = 0; i < count; i++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++)
        out[(i * plane + p) * channels + c] = data[(i * channels + c) * plane + p]!;
  return out;
}

/** RGBA laid on black, as for files. */
function withoutTransparency(data: Uint8Array): Uint8Array {
  const out = new Uint8Array((data.length / 4) * 3);
  for (let p = 0; p < data.length / 4; p++)
    for (let c = 0; c < 3; c++) out[3 * p + c] = Math.round((data[4 * p + c]! * data[4 * p + 3]!) / 255);
  return out;
}

function singleLabels(labels: Npy, images: number, where: string): readonly (string | number)[] {
  const [count = 0, columns = 1] = labels.shape;
  if (count !== images) throw new UserError(`${where}: ${count} labels for ${images} images`);
  if (labels.shape.length > 2) throw severalLabels(labels, where);
  const values = isText(labels) ? npyTexts(labels) : npyValues(labels);
  if (columns === 1) return values;
  const rows = Array.from({ length: count }, (_, i) => values.slice(i * columns, (i + 1) * columns));
  const isOneHot = rows.every((row) => row.every((value) => value === 0 || value === 1) && row.filter((value) => value === 1).length === 1); // prettier-ignore
  if (!isOneHot) throw severalLabels(labels, where);
  return rows.map((row) => row.findIndex((value) => value === 1));
}

function severalLabels({ shape }: Npy, where: string): UserError {
  return new UserError(
    `${where}: shape (${shape.join(', ')}) gives an image ${shape.slice(1).join(' × ')} labels; only one label an image is supported`,
  );
}
