/**
 * What `bench -- fidelity` measures of a set of synthetic images, against real images that nothing was trained on.
 *
 *   all, tail      share that the judge gives the intended class; tail: of classes under 200 training images
 *   distance       mean over synthetic images of the least root-mean-square pixel difference to a training image, [0, 2]
 *   new            share of real tail images that lie nearer to a synthetic image of their class than to any training
 *                  image of it, in pixels: what is covered beyond the training set
 *   frechet, precision, recall
 *                  in the judge's features, the mean over classes (feature-distances.ts), as many images on both sides
 */
import type { Dataset, ImageSet } from '../data/dataset.ts';
import { preprocess } from '../data/preprocess.ts';
import { classifierFeatures, featureCount } from '../models/classifier.ts';
import type { ClassifierModel, LoadedModel } from '../models/model-file.ts';
import { classCounts } from '../services/classifier-trainer/epoch-order.ts';
import { Predictor } from '../services/classifier-trainer/predictor.ts';
import { compile } from '../tensor/compile.ts';
import { frechetDistance, precisionRecall } from './feature-distances.ts';
import { nearestDistances } from './neighbours.ts';

const TAIL_BELOW = 200;
const FEATURE_BATCH = 128;
const CHOICE = { engine: 'onnxruntime', threads: 1 };

export interface Batch {
  /** [n, h, w, c] bytes. */
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

export interface Measures {
  readonly images: number;
  readonly all: number;
  readonly tail: number;
  readonly distance: number;
  readonly new: number;
  readonly frechet: number;
  readonly precision: number;
  readonly recall: number;
}

/** The judge: what it says of images, and the features that it says it from. */
export class Judge {
  readonly #model: LoadedModel<ClassifierModel>;
  readonly #predictor: Predictor;

  constructor(model: LoadedModel<ClassifierModel>) {
    this.#model = model;
    this.#predictor = new Predictor(model.model, CHOICE);
  }

  classes(images: Uint8Array): Promise<Int32Array> {
    return this.#predictor.classes(this.#model.params, images);
  }

  /** Features of images [n, h, w, c]: row-major [n, width of the last stage]. */
  async features(images: Uint8Array): Promise<{ values: Float32Array; columns: number }> {
    const { model, params } = this.#model;
    const { height, width, channels } = model.image;
    const size = height * width * channels;
    const columns = featureCount(model.network);
    const count = images.length / size;
    const shape = [FEATURE_BATCH, channels, height, width];
    const forward = await compile(
      classifierFeatures(model.network),
      { images: { shape, dtype: 'float32' } },
      { ...CHOICE, constants: { params } },
    );
    const values = new Float32Array(count * columns);
    for (let from = 0; from < count; from += FEATURE_BATCH) {
      const n = Math.min(FEATURE_BATCH, count - from);
      const data = new Float32Array(FEATURE_BATCH * size);
      data.set(preprocess(images.subarray(from * size, (from + n) * size), n, height, width, channels));
      const { features } = await forward.run({ images: { dtype: 'float32', shape, data } });
      values.set((features.data as Float32Array).subarray(0, n * columns), from * columns);
    }
    await forward.dispose();
    return { values, columns };
  }
}

/** Measures `batch` against `real`, images that neither prior nor classifier was trained on. */
export async function measure(
  batch: Batch,
  dataset: Dataset,
  real: ImageSet,
  judge: Judge,
): Promise<Measures> {
  const counts = classCounts(dataset.train.labels, dataset.classes.length);
  const isTail = (label: number) => counts[label]! < TAIL_BELOW;
  const given = await judge.classes(batch.images);
  const share = (keep: (label: number) => boolean) => {
    const own = [...batch.labels.keys()].filter((i) => keep(batch.labels[i]!));
    return own.filter((i) => given[i] === batch.labels[i]).length / own.length;
  };
  const size = dataset.height * dataset.width * dataset.channels;
  return {
    images: batch.labels.length,
    all: share(() => true),
    tail: share(isTail),
    distance: mean(nearestDistances(batch.images, dataset.train.images, size)),
    new: shareNew(batch, dataset.train, real, { classes: counts.length, isTail, size }),
    ...(await featureMeasures(batch, real, dataset.classes.length, judge)),
  };
}

function shareNew(
  batch: Batch,
  train: Batch,
  real: Batch,
  { classes, isTail, size }: { classes: number; isTail: (label: number) => boolean; size: number },
): number {
  let [newer, all] = [0, 0];
  for (let label = 0; label < classes; label++) {
    const own = pick(real, label, size);
    if (!isTail(label) || own.length === 0) continue;
    const toMade = nearestDistances(own, pick(batch, label, size), size);
    const toTrain = nearestDistances(own, pick(train, label, size), size);
    newer += toMade.filter((distance, i) => distance < toTrain[i]!).length;
    all += toMade.length;
  }
  return newer / all;
}

async function featureMeasures(batch: Batch, real: Batch, classes: number, judge: Judge) {
  const size = batch.images.length / batch.labels.length;
  const rows: { frechet: number; precision: number; recall: number }[] = [];
  for (let label = 0; label < classes; label++) {
    const [own, made] = [pick(real, label, size), pick(batch, label, size)];
    const bytes = Math.min(own.length, made.length);
    const [a, b] = [await judge.features(own.slice(0, bytes)), await judge.features(made.slice(0, bytes))];
    rows.push({ frechet: frechetDistance(a, b), ...precisionRecall(a, b) });
  }
  return {
    frechet: mean(rows.map((row) => row.frechet)),
    precision: mean(rows.map((row) => row.precision)),
    recall: mean(rows.map((row) => row.recall)),
  };
}

/** Images of one class, one after the other. */
function pick({ images, labels }: Batch, label: number, size: number): Uint8Array {
  const own = [...labels.keys()].filter((i) => labels[i] === label);
  const out = new Uint8Array(own.length * size);
  own.forEach((image, i) => out.set(images.subarray(image * size, (image + 1) * size), i * size));
  return out;
}

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}
