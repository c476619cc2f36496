/**
 * Training batches: augmented examples as tensors, the last batch of an epoch padded and masked. A label is a row of
 * probabilities: one-hot, soft, or mixed of two.
 */
import { augmentBatch } from '../../data/augment.ts';
import type { Augmentation } from '../../data/augment.ts';
import type { Shape } from '../../data/decode.ts';
import { gatherImages } from '../../data/images.ts';
import { preprocess } from '../../data/preprocess.ts';
import { cosineLevel } from '../../models/schedule.ts';
import type { ClassifierBatch } from '../../models/training-step.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { foldIn, normal, permutation, uniform } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { joinExamples } from './examples.ts';
import type { Examples } from './examples.ts';
import { drawShare, mixRows } from './mixing.ts';
import type { Mixing } from './mixing.ts';

/** Probabilities [n, k] for images [n, h, w, c]. */
export type LabelImages = (images: Uint8Array) => Promise<Float32Array>;

export interface BatchOptions {
  /** Parts in the order in which the epoch's order numbers them. */
  readonly parts: readonly (Examples & { readonly weight: number })[];
  readonly shape: Shape;
  readonly classes: number;
  readonly batchSize: number;
  /** null: images unchanged. */
  readonly augmentation: Augmentation | null;
  /** Adds each image a second time, as a·x + s·noise at a time drawn uniformly from [0, 1]. */
  readonly noiseAware: boolean;
  /** Added to the logits: [k]. */
  readonly adjustment: readonly number[];
  /** Weight of each class's loss, [k]; a soft label's is the mean over its probabilities. */
  readonly classWeights: readonly number[];
  readonly mixing: Mixing | null;
  /** With balanced mixing: the partner of each place. */
  readonly partners: Int32Array | null;
  /** Relabels the first `count` examples after augmentation; null keeps their own labels. */
  readonly relabel: { readonly count: number; readonly label: LabelImages } | null;
  /** Key of the epoch. */
  readonly key: Key;
}

/** Examples ready to be mixed and padded: pixels [n, c, h, w], labels [n, k], weights [n]. */
interface Rows {
  readonly pixels: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

export class BatchMaker {
  readonly #options: BatchOptions;
  readonly #examples: Examples;
  readonly #weights: Float32Array;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#examples = joinExamples(options.parts, options.classes);
    this.#weights = Float32Array.from(
      options.parts.flatMap(({ labels, weight }) => Array.from(labels, () => weight)),
    );
  }

  /** The `index`-th batch of an epoch's order (`epochOrder`). */
  async make(order: Int32Array, index: number): Promise<ClassifierBatch<NdArray>> {
    const { batchSize, classes, noiseAware, adjustment, shape } = this.#options;
    const first = index * batchSize;
    const examples = order.subarray(first, first + batchSize);
    const made = await this.#mixed(examples, index);
    const rows = batchSize * (noiseAware ? 2 : 1);
    const labels = zeros([rows, classes]);
    const mask = zeros([rows]);
    const weights = zeros([rows]);
    for (const start of noiseAware ? [0, batchSize] : [0]) {
      (labels.data as Float32Array).set(made.labels, start * classes);
      (weights.data as Float32Array).set(made.weights, start);
      (mask.data as Float32Array).fill(1, start, start + examples.length);
    }
    const images = zeros([rows, shape.channels, shape.height, shape.width]);
    (images.data as Float32Array).set(made.pixels);
    if (noiseAware) this.#addNoised(images.data as Float32Array, made.pixels, examples.length, first);
    return { images, labels, mask, weights, adjustment: float32([classes], adjustment) };
  }

  async #mixed(examples: Int32Array, index: number): Promise<Rows> {
    const { mixing, partners, batchSize, key } = this.#options;
    const first = index * batchSize;
    const own = await this.#rows(examples, (i) => foldIn(key, first + i));
    if (mixing === null) return own;
    const share = drawShare(mixing, foldIn(key, 'share', index));
    const count = examples.length;
    if (partners !== null) {
      const partner = await this.#rows(partners.subarray(first, first + count), (i) =>
        foldIn(key, 'partner', first + i),
      );
      return mixed(own, partner, Array.from(partner.weights.keys()), share);
    }
    return mixed(own, own, Array.from(permutation(foldIn(key, 'partners', index), count)), share);
  }

  async #rows(examples: Int32Array, keyOf: (position: number) => Key): Promise<Rows> {
    const { shape, augmentation, classes, classWeights, relabel } = this.#options;
    const { images, labels: classOf, soft } = this.#examples;
    const { height, width, channels } = shape;
    const size = height * width * channels;
    const bytes =
      augmentation === null
        ? gatherImages(images, examples, size)
        : augmentBatch({ images }, examples, shape, keyOf, augmentation);
    const relabelled = relabel === null ? null : await relabel.label(bytes);
    const labels = new Float32Array(examples.length * classes);
    const weights = new Float32Array(examples.length);
    examples.forEach((example, i) => {
      const row = labels.subarray(i * classes, (i + 1) * classes);
      if (relabelled !== null && example < relabel!.count)
        row.set(relabelled.subarray(i * classes, (i + 1) * classes));
      else if (soft !== null) row.set(soft.subarray(example * classes, (example + 1) * classes));
      else row[classOf[example]!] = 1;
      const classWeight = row.reduce((sum, p, c) => sum + p * classWeights[c]!, 0);
      weights[i] = this.#weights[example]! * classWeight;
    });
    return { pixels: preprocess(bytes, examples.length, height, width, channels), labels, weights };
  }

  #addNoised(images: Float32Array, pixels: Float32Array, count: number, first: number): void {
    const { batchSize, key } = this.#options;
    const size = count === 0 ? 0 : pixels.length / count;
    for (let i = 0; i < count; i++) {
      const own = foldIn(key, 'noised', first + i);
      const { a, s } = cosineLevel(uniform(foldIn(own, 'time'), 1)[0]!);
      const noise = normal(foldIn(own, 'noise'), size);
      const target = (batchSize + i) * size;
      for (let k = 0; k < size; k++) images[target + k] = a * pixels[i * size + k]! + s * noise[k]!;
    }
  }
}

function mixed(own: Rows, partner: Rows, order: readonly number[], share: number): Rows {
  return {
    pixels: mixRows(own.pixels, partner.pixels, order, share),
    labels: mixRows(own.labels, partner.labels, order, share),
    weights: mixRows(own.weights, partner.weights, order, share),
  };
}
