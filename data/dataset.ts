/**
 * `loadDataset`: from a configuration to decoded train, validation and test images. The steps, in order: read the
 * source, make the long tail, part off what is held out (parts.ts), decode what is used. What the configuration says decides
 * everything; the same configuration and files give the same bytes.
 */
import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { chooseShape, decode, type Shape } from './decode.ts';
import { FASHION_MNIST, type Places } from './fashion-mnist.ts';
import { openSource, openTest } from './open.ts';
import { chooseParts } from './parts.ts';
import { countClasses, type Items, type SkippedImage, type Source } from './source.ts';

export interface ImageSet {
  /** [n, height, width, channels], row-major, 0..255. */
  images: Uint8Array;
  /** Indices into the data set's classes. */
  labels: Int32Array;
  /** One an image, unique in the data set. */
  ids: string[];
  groups: string[] | null;
}

export interface UnlabelledSet {
  /** [n, height, width, channels], row-major, 0..255. */
  images: Uint8Array;
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

/**
 * Loads what `config` describes. Throws UserError for missing or malformed data, an empty class, fewer than two
 * classes and, with `onBadImage: 'fail'`, the first image that cannot be decoded. `places` is for tests.
 */
export async function loadDataset(
  config: DataConfig,
  places: Places = {},
  { archive: wantsArchive = false }: { archive?: boolean } = {},
): Promise<Dataset> {
  const source = await openSource(config, { ...places, roots: [...config.roots, ...(places.roots ?? [])] });
  checkClasses(source, source.train.labels, config.source);
  const isForDevelopment = config.evaluation === 'development';
  const outside =
    config.test === null || isForDevelopment ? null : await openTest(config, config.test, source.classes);
  const splits = chooseParts(config, source);
  const samples = firstOfEachClass(splits.train.labels, source.classes.length);
  const shape = await chooseShape(splits.train.pixels, config.imageSize, config.channels, samples);
  const skipped: SkippedImage[] = [...source.skipped, ...(outside?.skipped ?? [])];
  const load = (items: Items | null): Promise<ImageSet | null> => loadSet(config, items, shape, skipped);
  const base = (await load(splits.train))!;
  const fresh = await load(splits.fresh);
  const train = fresh ? joined(base, fresh) : base;
  const validation = await load(splits.validation);
  const test = isForDevelopment ? null : await load(outside ? outside.items : source.test);
  const development = isForDevelopment ? await load(splits.development) : null;
  const archive = wantsArchive ? await load(splits.archive) : null;
  checkClasses(source, train.labels, config.source);
  return {
    name: config.source === FASHION_MNIST ? FASHION_MNIST : basename(resolve(config.source)),
    classes: [...source.classes],
    ...shape,
    train,
    freshCount: fresh?.labels.length ?? 0,
    validation,
    test,
    development,
    archive: archive && { images: archive.images, ids: archive.ids },
    digest: digestOf(source.classes, shape, train),
    skipped,
    warnings: doubts(source.classes, train, { validation, test, development }),
  };
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

function firstOfEachClass(labels: Int32Array, classes: number): number[] {
  return Array.from({ length: classes }, (_, label) => labels.indexOf(label)).filter((index) => index >= 0);
}

function joined(first: ImageSet, second: ImageSet): ImageSet {
  return {
    images: Buffer.concat([first.images, second.images]),
    labels: Int32Array.from([...first.labels, ...second.labels]),
    ids: [...first.ids, ...second.ids],
    groups: first.groups && second.groups ? [...first.groups, ...second.groups] : null,
  };
}

async function loadSet(
  config: DataConfig,
  items: Items | null,
  shape: Shape,
  skipped: SkippedImage[],
): Promise<ImageSet | null> {
  if (!items || items.labels.length === 0) return null;
  const decoded = await decode(items.pixels, shape, config.imageSize !== null, config.onBadImage);
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
  return createHash('sha256')
    .update(JSON.stringify([classes, shape.height, shape.width, shape.channels]))
    .update(train.images)
    .update(new Uint8Array(labels.buffer))
    .digest('hex');
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
    if (missing.length > 0) warnings.push(`${name} has no image of ${missing.join(', ')}`);
    const shared = new Set(set.groups?.filter((group) => trainGroups.has(group)));
    if (shared.size > 0)
      warnings.push(
        `${shared.size} groups (first: ${[...shared][0]}) have images both in train and in ${name}: its figures are too good`,
      );
  }
  return warnings;
}
