/** What workers start from: the training images, of the size that the prior makes. */
import type { RunConfig } from '../../config/run-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import { preprocess, toBytes } from '../../data/preprocess.ts';
import { encodeAnchors } from '../../models/anchors-file.ts';
import { classStatistics } from '../../models/lda.ts';
import type { ImageShape } from '../../models/model-file.ts';
import { isEqualShape, resizedValues } from '../../models/resize.ts';

/** A line for the user where prior and data differ in size. */
export function resizeWarning(prior: ImageShape | null, data: ImageShape): string[] {
  if (prior === null || isEqualShape(prior, data)) return [];
  const text = ({ height, width, channels }: ImageShape) => `${height}×${width}×${channels}`;
  return [`prior: makes ${text(prior)} images, the data has ${text(data)}; each is resized for the other`];
}

/** The training images, of the size that the prior makes, and their statistics where guidance asks for them. */
export function anchorsFile(dataset: Dataset, prior: ImageShape, { synthesis }: RunConfig): Uint8Array {
  const { train, height, width, channels } = dataset;
  const count = train.labels.length;
  const images = isEqualShape(dataset, prior)
    ? train.images
    : anchorsOfSize(train.images, { height, width, channels }, prior);
  const statistics = () =>
    classStatistics(
      preprocess(images, count, prior.height, prior.width, prior.channels),
      train.labels,
      dataset.classes.length,
      prior,
    );
  return encodeAnchors({ images, statistics: synthesis.guidance.lda > 0 ? statistics() : null }, prior);
}

/** Image by image, so that no more than one is there as floating-point numbers. */
function anchorsOfSize(images: Uint8Array, from: ImageShape, to: ImageShape): Uint8Array {
  const [size, wanted] = [from, to].map(({ height, width, channels }) => height * width * channels);
  const out = new Uint8Array((images.length / size!) * wanted!);
  for (let i = 0; i * size! < images.length; i++) {
    const image = images.subarray(i * size!, (i + 1) * size!);
    const values = preprocess(image, 1, from.height, from.width, from.channels);
    const small = resizedValues(values, 1, from, to);
    out.set(toBytes(small, 1, to.height, to.width, to.channels), i * wanted!);
  }
  return out;
}
