/** Training images of a prior: the labelled ones, the unlabelled ones, or both, each image once. */
import { createHash } from 'node:crypto';
import { loadDataset } from '../../data/dataset.ts';
import { chunksOf, joinImages, type Images } from '../../data/images.ts';
import type { Shape } from '../../data/decode.ts';
import {
  type Exclusions,
  imageDigests,
  loadUnlabelled,
  NO_EXCLUSIONS,
  type Unlabelled,
  type UnlabelledCounts,
  unlabelledShape,
} from '../../data/unlabelled.ts';
import type { PriorConfig } from './config.ts';

export interface PriorImages extends Shape {
  /** [count, height, width, channels]. */
  readonly images: Images;
  readonly count: number;
  /** Classes of the labelled images, which come first. Only the sampling of training batches may read them. */
  readonly labels: Int32Array;
  /** Digest of the images. */
  readonly digest: string;
  /** Their origins; null when all are labelled. */
  readonly origin: ImageOrigin | null;
  /** Warnings about the data, one line each. */
  readonly warnings: readonly string[];
}

/** Numbers of images by origin; kept in the prior's metadata. */
export interface ImageOrigin {
  readonly labelled: number;
  readonly unlabelled: UnlabelledCounts & { readonly skipped: number };
}

/** Loads what `config` names. Throws UserError as `loadDataset` and `loadUnlabelled`. */
export async function loadPriorImages(config: PriorConfig): Promise<PriorImages> {
  if (!config.labelled) {
    const shape = await unlabelledShape(config.unlabelled, config.data);
    const unlabelled = await loadUnlabelled(config.unlabelled, shape, NO_EXCLUSIONS, config.data);
    return union(shape, null, unlabelled, []);
  }
  const dataset = await loadDataset(config.data, {}, { archive: config.data.archive !== null });
  const { height, width, channels, train, validation, test, digest, warnings } = dataset;
  const shape = { height, width, channels };
  const labelled = withArchive(
    { images: train.images, count: train.labels.length, labels: train.labels, digest },
    dataset.archive?.images ?? null,
  );
  if (config.unlabelled.length === 0) return { ...shape, ...labelled, origin: null, warnings };
  const exclude: Exclusions = { heldOut: imageDigests(validation, test), train: imageDigests(train) };
  return union(
    shape,
    labelled,
    await loadUnlabelled(config.unlabelled, shape, exclude, config.data),
    warnings,
  );
}

type Labelled = Pick<PriorImages, 'images' | 'count' | 'labels' | 'digest'>;

/** Labelled images, then those of `data.archive`, whose labels the reader dropped. */
function withArchive(labelled: Labelled, archive: Images | null): Labelled {
  if (archive === null) return labelled;
  const size = labelled.images.length / labelled.count;
  return {
    images: joinImages([labelled.images, archive]),
    count: labelled.count + archive.length / size,
    labels: labelled.labels,
    digest: digestOf(labelled.digest, archive),
  };
}

/** Labelled images first. */
function union(
  shape: Shape,
  labelled: Labelled | null,
  { images, counts, skipped }: Unlabelled,
  warnings: readonly string[],
): PriorImages {
  const head = JSON.stringify([labelled?.digest ?? null, shape.height, shape.width, shape.channels]);
  return {
    ...shape,
    images: labelled ? joinImages([labelled.images, images]) : images,
    count: (labelled?.count ?? 0) + counts.used,
    labels: labelled?.labels ?? new Int32Array(),
    digest: digestOf(head, images),
    origin: { labelled: labelled?.count ?? 0, unlabelled: { ...counts, skipped: skipped.length } },
    warnings,
  };
}

/** SHA-256 over `head` and the images, hex. */
function digestOf(head: string, images: Images): string {
  const hash = createHash('sha256').update(head);
  for (const bytes of chunksOf(images)) hash.update(bytes);
  return hash.digest('hex');
}

/** One line for people. */
export function describeOrigin({ count, labels, origin }: PriorImages): string {
  if (!origin) {
    const archived = count - labels.length;
    return `${labels.length} labelled training images${archived > 0 ? ` and ${archived} of the archive` : ''}`;
  }
  const { labelled, unlabelled } = origin;
  const left = [
    [unlabelled.heldOut, 'validation or test images'],
    [unlabelled.inTrain, 'equal to a labelled training image'],
    [unlabelled.repeated, 'equal to one before it'],
    [unlabelled.skipped, 'unreadable'],
  ] as const;
  const reasons = left.filter(([n]) => n > 0).map(([n, why]) => `${n} ${why}`);
  const leftOut = reasons.length > 0 ? `; left out: ${reasons.join(', ')}` : '';
  const unchecked =
    labelled === 0 ? '; without labelled data (--data), no validation or test image can be recognised' : '';
  return `${count} images: ${labelled} labelled, ${unlabelled.used} of ${unlabelled.found} unlabelled${leftOut}${unchecked}`;
}
