/** Training batches: augmented examples as tensors, the last batch of an epoch padded and masked. */
import { augmentBatch } from '../../data/augment.ts';
import type { ImageSet } from '../../data/dataset.ts';
import type { Shape } from '../../data/decode.ts';
import { preprocess } from '../../data/preprocess.ts';
import { cosineLevel } from '../../models/schedule.ts';
import type { ClassifierBatch } from '../../models/training-step.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { foldIn, normal, uniform } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';

export interface SyntheticImages {
  /** [n, h, w, c] bytes. */
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

export interface BatchOptions {
  readonly real: ImageSet;
  readonly synthetic: SyntheticImages;
  readonly shape: Shape;
  readonly classes: number;
  readonly batchSize: number;
  readonly augmentation: 'flip-shift' | 'none';
  readonly syntheticLossWeight: number;
  /** Each image a second time as a·x + s·noise at a time drawn evenly from [0, 1]. */
  readonly noiseAware: boolean;
  /** Added to the logits: [k]. */
  readonly adjustment: readonly number[];
  /** Key of the epoch. */
  readonly key: Key;
}

export class BatchMaker {
  readonly #options: BatchOptions;
  readonly #images: ImageSet;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#images = joined(options.real, options.synthetic);
  }

  /** The `index`-th batch of an epoch's order (`epochOrder`). */
  make(order: Int32Array, index: number): ClassifierBatch<NdArray> {
    const { batchSize, classes, noiseAware, adjustment, real, syntheticLossWeight } = this.#options;
    const first = index * batchSize;
    const examples = order.subarray(first, first + batchSize);
    const rows = batchSize * (noiseAware ? 2 : 1);
    const labels = zeros([rows, classes]);
    const mask = zeros([rows]);
    const weights = zeros([rows]);
    examples.forEach((example, i) => {
      for (const row of noiseAware ? [i, batchSize + i] : [i]) {
        labels.data[row * classes + this.#images.labels[example]!] = 1;
        mask.data[row] = 1;
        weights.data[row] = example < real.labels.length ? 1 : syntheticLossWeight;
      }
    });
    return {
      images: this.#pixels(examples, first, rows),
      labels,
      mask,
      weights,
      adjustment: float32([classes], adjustment),
    };
  }

  #pixels(examples: Int32Array, first: number, rows: number): NdArray {
    const { shape, augmentation, key, noiseAware, batchSize } = this.#options;
    const { height, width, channels } = shape;
    const size = height * width * channels;
    const bytes =
      augmentation === 'none'
        ? gather(this.#images.images, examples, size)
        : augmentBatch(this.#images, examples, shape, (i) => foldIn(key, first + i));
    const images = zeros([rows, channels, height, width]);
    const pixels = preprocess(bytes, examples.length, height, width, channels);
    (images.data as Float32Array).set(pixels);
    if (noiseAware)
      for (let i = 0; i < examples.length; i++) {
        const own = foldIn(key, 'noised', first + i);
        const { a, s } = cosineLevel(uniform(foldIn(own, 'time'), 1)[0]!);
        const noise = normal(foldIn(own, 'noise'), size);
        const target = (batchSize + i) * size;
        for (let k = 0; k < size; k++) images.data[target + k] = a * pixels[i * size + k]! + s * noise[k]!;
      }
    return images;
  }
}

function joined(real: ImageSet, synthetic: SyntheticImages): ImageSet {
  if (synthetic.labels.length === 0) return real;
  const images = new Uint8Array(real.images.length + synthetic.images.length);
  images.set(real.images);
  images.set(synthetic.images, real.images.length);
  return { images, labels: Int32Array.from([...real.labels, ...synthetic.labels]), ids: [], groups: null };
}

function gather(images: Uint8Array, indices: Int32Array, size: number): Uint8Array {
  const out = new Uint8Array(indices.length * size);
  indices.forEach((index, i) => out.set(images.subarray(index * size, (index + 1) * size), i * size));
  return out;
}
