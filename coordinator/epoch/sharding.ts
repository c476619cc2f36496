/**
 * From quotas to units of work: an epoch's ordered image list, cut into shards of a fixed size. Pure, and independent
 * of the number of workers, so that the same seed gives the same images on any of them.
 */
import { foldIn, integers, keyFromSeed } from '../../tensor/random.ts';

/** One image to make. */
export interface PlannedImage {
  /** Unique in the run; keys the image's randomness. */
  readonly imageId: number;
  readonly classIndex: number;
  /** Training image to start from; −1 starts from noise. */
  readonly anchorIndex: number;
}

/** One unit of work: a slice of the epoch's image list. */
export interface Shard {
  /** Position in the epoch, from 0. */
  readonly index: number;
  readonly items: readonly PlannedImage[];
}

export interface ShardPlanInput {
  readonly seed: number;
  /** From 1. */
  readonly epoch: number;
  /** Images of each class. */
  readonly quota: readonly number[];
  /**
   * Upper bound of every epoch's images (the budget): epoch e's ids are in [(e − 1)·stride, e·stride) from `firstId`.
   */
  readonly idStride: number;
  /** 0 by default; keeps the ids of another kind of images apart. */
  readonly firstId?: number;
  readonly shardSize: number;
  readonly start: 'anchored' | 'noise';
  /** Class index of each training image. */
  readonly trainLabels: readonly number[];
}

/**
 * The epoch's shards, in order: classes by index, images of a class together. An anchored image draws its anchor from
 * the class's training images by the key (seed, 'anchor', image id). Throws RangeError when the quotas exceed
 * `idStride`, or when an anchored class has no training image.
 */
export function planShards(input: ShardPlanInput): Shard[] {
  const images = planImages(input);
  const shards: Shard[] = [];
  for (let from = 0; from < images.length; from += input.shardSize)
    shards.push({ index: shards.length, items: images.slice(from, from + input.shardSize) });
  return shards;
}

function planImages(input: ShardPlanInput): PlannedImage[] {
  const { epoch, quota, idStride, firstId = 0 } = input;
  const total = quota.reduce((sum, n) => sum + n, 0);
  if (total > idStride) throw new RangeError(`${total} images exceed the epoch's ${idStride} image ids`);
  const anchors = input.start === 'anchored' ? imagesByClass(input.trainLabels, quota.length) : null;
  const root = foldIn(keyFromSeed(input.seed), 'anchor');
  const images: PlannedImage[] = [];
  quota.forEach((count, classIndex) => {
    for (let i = 0; i < count; i++) {
      const imageId = firstId + (epoch - 1) * idStride + images.length;
      const candidates = anchors?.[classIndex];
      if (candidates?.length === 0)
        throw new RangeError(`class ${classIndex} has no training image to start from`);
      const drawn = candidates ? integers(foldIn(root, imageId), 1, candidates.length)[0]! : 0;
      images.push({ imageId, classIndex, anchorIndex: candidates ? candidates[drawn]! : -1 });
    }
  });
  return images;
}

function imagesByClass(labels: readonly number[], classes: number): number[][] {
  const byClass: number[][] = Array.from({ length: classes }, () => []);
  labels.forEach((label, index) => byClass[label]?.push(index));
  return byClass;
}
