/**
 * `loadDataset`: from a configuration to decoded train, validation and test images. The steps, in order: read the
 * source, make the long tail, part off what is held out (parts.ts), decode what is used. The result depends only on
 * configuration and files: the same ones give the same bytes.
 */
import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import type { ImageSet } from './image-set.ts';
import { chunksOf, joinImages, type Images } from './images.ts';
import { decode, type DecodeProgress, type Shape } from './decode.ts';
import { FASHION_MNIST, type Places } from './fashion-mnist.ts';
import { describeDoubts, findEqualAndConstant, type Findings } from './findings.ts';
import type { Wanted } from './image-decoder.ts';
import type { Layout } from './layout/layout.ts';
import { openSource, openTest, type OutsideTest } from './open.ts';
import { chooseParts, type Parts } from './parts.ts';
import { countClasses, pick, type Items, type SkippedImage, type Source } from './source.ts';
import { splitTest } from './split.ts';
import { survey, type SizeCount, type Survey } from './survey.ts';
import { listed } from './table.ts';

export type { ImageSet } from './image-set.ts';

export interface UnlabelledSet {
  images: Images;
  ids: string[];
}

export interface Dataset {
  name: string;
  classes: string[];
  height: number;
  width: number;
  channels: number;
  train: ImageSet;
  /** How many of the last train images are `data.fresh` ones, by which no class is called many, few or tail. */
  freshCount: number;
  validation: ImageSet | null;
  /** Null, too, when the run is scored on development images. */
  test: ImageSet | null;
  /** Null unless the run is scored on it. */
  development: ImageSet | null;
  /** Images without labels; null unless asked for. */
  archive: UnlabelledSet | null;
  /** SHA-256 (hex) over shape, class names, train images and train labels. */
  digest: string;
  /** Images that could not be read, when `onBadImage` is 'skip'. */
  skipped: { file: string; reason: string }[];
  /** Doubts about the data that do not stop a run, one line each. */
  warnings: string[];
}

/** Facts that `ballast data` shows beside the images. */
export interface LoadedDataset extends Dataset {
  readonly layout: Layout;
  readonly findings: Findings;
  /** Sizes of the images as they are stored, the most frequent first. */
  readonly sizes: readonly SizeCount[];
}

export interface LoadOptions {
  /** Whether images without labels are decoded too. */
  readonly archive?: boolean;
  /** Side to bring images to when they have several sizes and the configuration names none; null: refuse them. */
  readonly mixedSize?: number | null;
  /** Called now and then with the progress of decoding. */
  readonly onDecode?: (progress: DecodeProgress) => void;
}

/**
 * Loads what `config` describes. Throws UserError for missing, unclear or malformed data, an empty class, fewer than
 * two classes, train images without any content and, with `onBadImage: 'fail'`, the first image that cannot be
 * decoded. `places` is for tests.
 */
export async function loadDataset(
  config: DataConfig,
  places: Places = {},
  { archive: wantsArchive = false, mixedSize = null, onDecode }: LoadOptions = {},
): Promise<LoadedDataset> {
  const source = await openWithTest(config, places);
  const splits = chooseParts(config, source);
  const scored = config.evaluation === 'development' ? splits.development : source.test;
  const looks = await survey([splits.train, splits.fresh, splits.validation, scored, splits.archive], config);
  const { shape, wanted } = formOf(config, looks, mixedSize);
  const skipped: SkippedImage[] = [...source.skipped];
  const load = (items: Items | null): Promise<ImageSet | null> =>
    loadSet(config, items, wanted, { skipped, onDecode });
  const { train, freshCount, ...others } = await loadSplits(config, splits, scored, load);
  const archive = wantsArchive ? await load(splits.archive) : null;
  checkClasses(source, train.labels, config.source);
  checkContent(train, config.source, looks.doubts);
  const findings = findEqualAndConstant({ train, ...others }, source.classes);
  return {
    name: config.source === FASHION_MNIST ? FASHION_MNIST : basename(resolve(config.source)),
    classes: [...source.classes],
    ...shape,
    ...{ train, ...others, freshCount },
    archive: archive && { images: archive.images, ids: archive.ids },
    digest: digestOf(source.classes, shape, train),
    skipped,
    warnings: [
      ...source.layout.doubts,
      ...ownValidationUnused(config, source),
      ...looks.doubts,
      ...doubts(source.classes, train, others),
      ...describeDoubts(findings),
    ],
    ...{ layout: source.layout, findings, sizes: looks.sizes },
  };
}

/** Size and channels of all images: as configured, otherwise those of the data. */
function formOf(config: DataConfig, { first, sizes, scale }: Survey, mixedSize: number | null) {
  const side = config.imageSize ?? (sizes.length > 1 ? mixedSize : null);
  const shape: Shape = {
    height: side ?? first.height,
    width: side ?? first.width,
    channels: config.channels ?? first.channels,
  };
  return { shape, wanted: { ...shape, resize: side === null ? null : config.resize, scale } };
}

/** Opens the data with its test images: their own, those of `config.test`, or a share of train. */
async function openWithTest(config: DataConfig, places: Places): Promise<Source> {
  const opened = await openSource(config, { ...places, roots: [...config.roots, ...(places.roots ?? [])] });
  checkClasses(opened, opened.train.labels, config.source);
  const outside =
    config.test === null || config.evaluation === 'development'
      ? null
      : await openTest(config, config.test, opened);
  const whole = outside ? withOutside(opened, outside) : opened;
  return config.testFraction === null ? whole : withTest(config, whole);
}

function withOutside(opened: Source, { items, skipped, layout }: OutsideTest): Source {
  const unused = [...opened.layout.unused, ...layout.unused];
  const doubts = [...opened.layout.doubts, ...layout.doubts];
  return {
    ...opened,
    ...{ test: items, skipped: [...opened.skipped, ...skipped] },
    layout: { ...opened.layout, unused, doubts },
  };
}

/** Decodes the splits in order; fresh images join train. `scored` are test or development images. */
async function loadSplits(
  config: DataConfig,
  splits: Pick<Parts, 'train' | 'fresh' | 'validation'>,
  scored: Items | null,
  load: (items: Items | null) => Promise<ImageSet | null>,
) {
  const base = (await load(splits.train))!;
  const fresh = await load(splits.fresh);
  const validation = await load(splits.validation);
  const isForDevelopment = config.evaluation === 'development';
  const test = isForDevelopment ? null : await load(scored);
  const development = isForDevelopment ? await load(scored) : null;
  const train = fresh ? joined(base, fresh) : base;
  return { train, freshCount: fresh?.labels.length ?? 0, validation, test, development };
}

function ownValidationUnused({ validation }: DataConfig, source: Source): string[] {
  if (!source.validation || validation.from === 'train') return [];
  const count = source.validation.labels.length;
  return [
    `the data's own validation split of ${count} images is not used: data.validation is '${validation.from}'`,
  ];
}

/** Refuses train images that are all one and the same colour: their content was lost on the way. */
function checkContent({ images, labels }: ImageSet, where: string, doubts: readonly string[]): void {
  const first = images.subarray(0, 1)[0]!;
  if (labels.length > 1 && isFilledWith(images, first))
    throw new UserError(
      `${where}: every pixel of all ${labels.length} train images is ${first}: their content is lost (${doubts.length > 0 ? doubts.join('; ') : 'floats of 0 to 1 cast to uint8?'}); write them again from the originals`,
    );
}

function isFilledWith(images: Images, value: number): boolean {
  for (const bytes of chunksOf(images)) if (bytes.some((byte) => byte !== value)) return false;
  return true;
}

/** Parts a share off as test. */
function withTest(config: DataConfig, source: Source): Source {
  if (source.test)
    throw new UserError(
      `data.testFraction: the data has a test split of ${source.test.labels.length} images already; leave testFraction (--test-fraction) out`,
    );
  const { labels, groups } = source.train;
  const parts = splitTest(labels, groups, source.classes.length, config.testFraction!);
  if (parts.validation.length === 0)
    throw new UserError(
      `data.testFraction: no class has enough images (or groups) to give some to test; leave it out`,
    );
  return { ...source, train: pick(source.train, parts.train), test: pick(source.train, parts.validation) };
}

function checkClasses(source: Source, labels: Int32Array, where: string): void {
  if (source.classes.length < 2)
    throw new UserError(
      `${where}: has only the class '${source.classes[0] ?? ''}'; a classifier needs at least two classes`,
    );
  const empty = countClasses(labels, source.classes.length).indexOf(0);
  if (empty >= 0)
    throw new UserError(
      `${where}: class '${source.classes[empty]}' has no train image; add images or remove the class`,
    );
}

function joined(first: ImageSet, second: ImageSet): ImageSet {
  return {
    images: joinImages([first.images, second.images]),
    labels: Int32Array.from([...first.labels, ...second.labels]),
    ids: [...first.ids, ...second.ids],
    groups: first.groups && second.groups ? [...first.groups, ...second.groups] : null,
  };
}

async function loadSet(
  config: DataConfig,
  items: Items | null,
  wanted: Wanted,
  { skipped, onDecode }: { skipped: SkippedImage[]; onDecode: LoadOptions['onDecode'] },
): Promise<ImageSet | null> {
  if (!items || items.labels.length === 0) return null;
  const decoded = await decode(items.pixels, wanted, config.onBadImage, onDecode);
  skipped.push(...decoded.skipped);
  const kept = Array.from(decoded.kept);
  return {
    images: decoded.images,
    labels: Int32Array.from(kept, (i) => items.labels[i]!),
    ids: kept.map((i) => items.ids[i]!),
    groups: items.groups ? kept.map((i) => items.groups![i]!) : null,
  };
}

function digestOf(classes: readonly string[], shape: Shape, train: ImageSet): string {
  const labels = new DataView(new ArrayBuffer(4 * train.labels.length));
  train.labels.forEach((label, i) => labels.setInt32(4 * i, label, true));
  const hash = createHash('sha256').update(
    JSON.stringify([classes, shape.height, shape.width, shape.channels]),
  );
  for (const bytes of chunksOf(train.images)) hash.update(bytes);
  return hash.update(new Uint8Array(labels.buffer)).digest('hex');
}

function doubts(
  classes: readonly string[],
  train: ImageSet,
  others: Readonly<Record<string, ImageSet | null>>,
): string[] {
  const warnings: string[] = [];
  const trainGroups = new Set(train.groups);
  for (const [name, set] of Object.entries(others)) {
    if (!set) continue;
    const counts = countClasses(set.labels, classes.length);
    const missing = classes.filter((_, label) => counts[label] === 0);
    if (missing.length > 0) warnings.push(`${name} has no image of ${listed(missing)}`);
    const shared = new Set(set.groups?.filter((group) => trainGroups.has(group)));
    if (shared.size > 0)
      warnings.push(
        `${shared.size} groups (first: ${[...shared][0]}) have images both in train and in ${name}: its figures are too good`,
      );
  }
  return warnings;
}
