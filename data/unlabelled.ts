/**
 * Images without labels, for priors and archives: folders (flat or nested), CSV lists without a label column, NPZ and
 * IDX files. An image counts as the same as another when both decode to equal bytes at the training size, however they
 * were stored. Never used: images equal to a validation or test image. Used once: equal images.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { listedImages } from './layout/listed-images.ts';
import type { ImageSet } from './image-set.ts';
import { joinImages, pickImages, type Images } from './images.ts';
import { countImages, decode, type Shape } from './decode.ts';
import type { Wanted } from './image-decoder.ts';
import { survey } from './survey.ts';
import { FASHION_MNIST, readFashionMnist, type Places } from './fashion-mnist.ts';
import { isIdxFolder, readIdxImages } from './idx.ts';
import { isFolder, listImages } from './image-files.ts';
import { splitOfName } from './layout/names.ts';
import { isTable } from './layout/tree.ts';
import { readNpzImages } from './npz.ts';
import { numberedIds, type Items, type Pixels, type SkippedImage } from './source.ts';

export interface UnlabelledCounts {
  /** Images of the sources that can be decoded. */
  readonly found: number;
  /** Of them, those that are returned. */
  readonly used: number;
  /** Left out: equal to a validation or test image, or in a folder of that name. */
  readonly heldOut: number;
  /** Left out: equal to a labelled training image. */
  readonly inTrain: number;
  /** Left out: equal to an unlabelled image before it. */
  readonly repeated: number;
}

export interface Unlabelled {
  /** [used, height, width, channels], row-major, 0..255. */
  readonly images: Images;
  /** Path (or number) of each image within its source, after the source's name. */
  readonly ids: readonly string[];
  readonly counts: UnlabelledCounts;
  readonly skipped: readonly SkippedImage[];
}

export interface Exclusions {
  /** Digests (`imageDigests`) of validation and test images. */
  readonly heldOut: ReadonlySet<string>;
  /** Digests of labelled training images. */
  readonly train: ReadonlySet<string>;
}

export const NO_EXCLUSIONS: Exclusions = { heldOut: new Set(), train: new Set() };

type Reading = Pick<DataConfig, 'csv' | 'imageSize' | 'channels' | 'resize' | 'onBadImage' | 'roots'>;

/** SHA-256 (hex) of the bytes of each image of `sets`. */
export function imageDigests(...sets: readonly (ImageSet | null)[]): Set<string> {
  const digests = new Set<string>();
  for (const set of sets)
    if (set)
      for (const digest of digestsOf(set.images, set.images.length / set.labels.length)) digests.add(digest);
  return digests;
}

/** The shape that the images of `sources` get when no labelled data says it. Throws UserError as `loadUnlabelled`. */
export async function unlabelledShape(
  sources: readonly string[],
  config: Reading,
  places: Places = {},
): Promise<Shape> {
  const opened = await Promise.all(sources.map((source) => openUnlabelled(source, config, places)));
  const { first } = await survey(opened.map(asItems), config);
  return {
    height: config.imageSize ?? first.height,
    width: config.imageSize ?? first.width,
    channels: config.channels ?? first.channels,
  };
}

/**
 * All images of `sources` at `shape`, in the order of the sources and of their names, without those that `exclude`
 * names. Throws UserError for a source without images and, with `onBadImage: 'fail'`, the first that is unreadable.
 */
export async function loadUnlabelled(
  sources: readonly string[],
  shape: Shape,
  exclude: Exclusions,
  config: Reading,
  places: Places = {},
): Promise<Unlabelled> {
  const size = shape.height * shape.width * shape.channels;
  const parts: Images[] = [];
  const ids: string[] = [];
  const skipped: SkippedImage[] = [];
  const counts = { found: 0, used: 0, heldOut: 0, inTrain: 0, repeated: 0 };
  const seen = new Set<string>();
  for (const source of sources) {
    const opened = await openUnlabelled(source, config, places);
    if (opened.skipped.length > 0 && config.onBadImage === 'fail')
      throw new UserError(
        `${opened.skipped[0]!.file}: ${opened.skipped[0]!.reason}; add it, or skip such rows with --on-bad-image skip`,
      );
    const { scale } = await survey([asItems(opened)], config);
    const wanted: Wanted = { ...shape, resize: config.imageSize === null ? null : config.resize, scale };
    const decoded = await decode(opened.pixels, wanted, config.onBadImage);
    skipped.push(...opened.skipped, ...decoded.skipped);
    counts.heldOut += opened.heldOut;
    counts.found += opened.heldOut + decoded.kept.length;
    const chosen: number[] = [];
    digestsOf(decoded.images, size).forEach((digest, i) => {
      if (exclude.heldOut.has(digest)) counts.heldOut++;
      else if (exclude.train.has(digest)) counts.inTrain++;
      else if (seen.has(digest)) counts.repeated++;
      else {
        seen.add(digest);
        chosen.push(i);
        ids.push(`${basename(source)}/${opened.ids[decoded.kept[i]!]}`);
      }
    });
    parts.push(pickImages(decoded.images, chosen, size));
  }
  return { images: joinImages(parts), ids, counts: { ...counts, used: ids.length }, skipped };
}

interface Opened {
  readonly pixels: Pixels;
  readonly ids: readonly string[];
  readonly skipped: readonly SkippedImage[];
  /** Images in folders of validation or test images, which are not looked at. */
  readonly heldOut: number;
}

async function openUnlabelled(source: string, config: Reading, places: Places): Promise<Opened> {
  if (source === FASHION_MNIST) {
    const { train } = await readFashionMnist({
      ...places,
      roots: [...config.roots, ...(places.roots ?? [])],
    });
    return { pixels: train.pixels, ids: train.ids, skipped: [], heldOut: 0 };
  }
  const path = resolve(source);
  if (!existsSync(path))
    throw new UserError(
      `${source}: no such file or folder (unlabelled); give a folder of images, or a .csv, .npz or IDX file`,
    );
  if (/\.npz$/i.test(path)) return raw(await readNpzImages(path));
  if (isTable(path)) {
    const { files, ids, missing } = await listedImages(path, config.csv);
    if (files.length === 0)
      throw new UserError(`${source}: none of its rows names a train image that is there`);
    return { pixels: { kind: 'files', files }, ids, skipped: missing, heldOut: 0 };
  }
  if (!(await isFolder(path)) || isIdxFolder(path)) return raw(await readIdxImages(path));
  const all = await listImages(path);
  const ids = all.filter((id) => !isHeldOut(id));
  if (ids.length === 0) throw new UserError(`${source}: holds no image (jpg, png, …) in it or below it`);
  return {
    pixels: { kind: 'files', files: ids.map((id) => join(path, id)) },
    ids,
    skipped: [],
    heldOut: all.length - ids.length,
  };
}

function asItems({ pixels, ids }: Opened): Items {
  return { pixels, ids, labels: new Int32Array(ids.length), groups: null };
}

/** Whether an image is in a folder named after the validation or test split. */
function isHeldOut(id: string): boolean {
  const split = id.includes('/') ? splitOfName(id.split('/')[0]!) : null;
  return split === 'validation' || split === 'test';
}

function raw(pixels: Pixels): Opened {
  return { pixels, ids: numberedIds('train', countImages(pixels)), skipped: [], heldOut: 0 };
}

function digestsOf(images: Images, size: number): string[] {
  return Array.from({ length: images.length / size }, (_, i) =>
    createHash('sha256')
      .update(images.subarray(i * size, (i + 1) * size))
      .digest('hex'),
  );
}
