/** Starting images for workers: the training images, or a share of very many, at the prior's size. */
import type { RunConfig } from '../../config/run-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { classMembers } from '../../data/long-tail.ts';
import { preprocess, toBytes } from '../../data/preprocess.ts';
import { encodeAnchors } from '../../models/anchors-file.ts';
import { classStatistics } from '../../models/lda.ts';
import type { ImageShape } from '../../models/model-file.ts';
import { isEqualShape, resizedValues } from '../../models/resize.ts';
import { foldIn, keyFromSeed, permutation } from '../../tensor/random.ts';

/** Bytes of the images from which workers start. */
const ANCHOR_BYTES = 2 ** 28;

/** A line for the user if prior and data differ in size. */
export function resizeWarning(prior: ImageShape | null, data: ImageShape): string[] {
  if (prior === null || isEqualShape(prior, data)) return [];
  const text = ({ height, width, channels }: ImageShape) => `${height}×${width}×${channels}`;
  return [`prior: makes ${text(prior)} images, the data has ${text(data)}; each is resized for the other`];
}

/**
 * The anchors, at the size of the prior's images, with their statistics if guidance needs them; and their classes, or
 * none if every training image is an anchor.
 */
export function anchorsFile(
  dataset: Dataset,
  prior: ImageShape,
  { synthesis }: RunConfig,
): { bytes: Uint8Array; labels: number[] } {
  const { train, classes } = dataset;
  const chosen = chooseAnchors(train.labels, classes.length, prior.height * prior.width * prior.channels);
  const images = anchorsOfSize(train.images, chosen ?? [...train.labels.keys()], dataset, prior);
  const labels = chosen?.map((index) => train.labels[index]!) ?? [];
  const statistics = () =>
    classStatistics(
      preprocess(images, images.length / sizeOf(prior), prior.height, prior.width, prior.channels),
      chosen === null ? train.labels : Int32Array.from(labels),
      classes.length,
      prior,
    );
  const bytes = encodeAnchors(
    { images, statistics: synthesis.guidance.lda > 0 ? statistics() : null },
    prior,
  );
  return { bytes, labels };
}

/**
 * The training images that workers get: ascending indices, null for all. If all would exceed ANCHOR_BYTES, every class
 * gets the same maximum number, drawn by a fixed key, so that small classes keep all of theirs.
 */
export function chooseAnchors(
  labels: Int32Array,
  classes: number,
  imageBytes: number,
  mostBytes = ANCHOR_BYTES,
): number[] | null {
  const most = Math.max(classes, Math.floor(mostBytes / imageBytes));
  if (labels.length <= most) return null;
  const members = classMembers(labels, classes);
  const taken = (limit: number) => members.reduce((sum, own) => sum + Math.min(own.length, limit), 0);
  let limit = 1;
  for (let step = labels.length; step >= 1; step = Math.floor(step / 2))
    while (taken(limit + step) <= most) limit += step;
  const key = foldIn(keyFromSeed(0), 'anchors');
  const chosen = members.flatMap((own, label) =>
    Array.from(permutation(foldIn(key, label), own.length).subarray(0, limit), (i) => own[i]!),
  );
  return chosen.sort((a, b) => a - b);
}

function sizeOf({ height, width, channels }: ImageShape): number {
  return height * width * channels;
}

/** Resizes images one by one, so that no more than one exists in floating point. */
export function anchorsOfSize(
  images: Images,
  indices: readonly number[],
  from: ImageShape,
  to: ImageShape,
): Uint8Array {
  const [size, wanted] = [sizeOf(from), sizeOf(to)];
  if (isEqualShape(from, to) && indices.length * size === images.length && images instanceof Uint8Array)
    return images;
  const out = new Uint8Array(indices.length * wanted);
  indices.forEach((index, i) => {
    const image = images.subarray(index * size, (index + 1) * size);
    out.set(isEqualShape(from, to) ? image : resizedBytes(image, from, to), i * wanted);
  });
  return out;
}

function resizedBytes(image: Uint8Array, from: ImageShape, to: ImageShape): Uint8Array {
  const values = preprocess(image, 1, from.height, from.width, from.channels);
  return toBytes(resizedValues(values, 1, from, to), 1, to.height, to.width, to.channels);
}
