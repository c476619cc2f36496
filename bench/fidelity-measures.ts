/**
 * The measures of `bench -- fidelity` for a set of images, against real images on which nothing was trained.
 *
 *   all, tail      share that the judge gives the intended class; tail: of the classes below `tailBelow` training images
 *   distance       mean over the set of the least root-mean-square pixel difference to a training image, [0, 2]
 *   coverage       share of unseen tail images that lie nearer, in the judge's features, to an image of the set made for the
 *                  tail than to any training image of the tail: to be read beside that of the anchors' augmentations and of
 *                  as many fresh real images
 *   frechet, precision, recall
 *                  in the judge's features, the mean over classes (feature-distances.ts), as many images on both sides
 *
 * Each is also computed per class; null if it is undefined.
 */
import type { Dataset, ImageSet } from '../data/dataset.ts';
import { classCounts } from '../services/classifier-trainer/epoch-order.ts';
import { frechetDistance, isNearer, precisionRecall } from './feature-distances.ts';
import type { Features } from './feature-distances.ts';
import type { Judge as FeatureJudge } from './feature-judge.ts';
import { nearestDistances } from './neighbours.ts';
import { bytesOf } from '../data/images.ts';

/** The required functions of a judge. */
type Judge = Pick<FeatureJudge, 'classes' | 'features'>;

/** Minimum number of images of a class on each side: one and its three neighbours. */
const LEAST_IMAGES = 4;

export interface Batch {
  /** [n, h, w, c] bytes. */
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

export interface ClassMeasures {
  readonly name: string;
  /** Of the set. */
  readonly images: number;
  readonly fidelity: number | null;
  readonly frechet: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  /** Also null for a class outside the tail. */
  readonly coverage: number | null;
}

export interface Measures {
  readonly images: number;
  readonly all: number | null;
  readonly tail: number | null;
  readonly distance: number;
  readonly coverage: number | null;
  readonly frechet: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly perClass: readonly ClassMeasures[];
}

/** Images with their classes, as the judge sees them. */
interface Seen {
  readonly labels: ArrayLike<number>;
  readonly features: Features;
}

/** The reference of all measures: unseen real images, the training images, and a judge. */
export class Reference {
  readonly #dataset: Dataset;
  readonly #judge: Judge;
  readonly #isTail: (label: number) => boolean;
  readonly #unseen: Seen;
  /** The training images of the tail. */
  readonly #trainTail: Features;

  private constructor(
    dataset: Dataset,
    judge: Judge,
    parts: { isTail: (label: number) => boolean; unseen: Seen; trainTail: Features },
  ) {
    this.#dataset = dataset;
    this.#judge = judge;
    this.#isTail = parts.isTail;
    this.#unseen = parts.unseen;
    this.#trainTail = parts.trainTail;
  }

  static async open(dataset: Dataset, unseen: Batch, judge: Judge, tailBelow: number): Promise<Reference> {
    const counts = classCounts(dataset.train.labels, dataset.classes.length);
    const isTail = (label: number) => counts[label]! < tailBelow;
    const { images } = pickImages(inMemory(dataset.train), isTail);
    return new Reference(dataset, judge, {
      isTail,
      unseen: { labels: unseen.labels, features: await judge.features(unseen.images) },
      trainTail: await judge.features(images),
    });
  }

  async measure(batch: Batch): Promise<Measures> {
    const { height, width, channels, train } = this.#dataset;
    const given = await this.#judge.classes(batch.images);
    const made: Seen = { labels: batch.labels, features: await this.#judge.features(batch.images) };
    const places = Array.from(batch.labels.keys());
    const faithful = (keep: (label: number) => boolean) => {
      const own = places.filter((i) => keep(batch.labels[i]!));
      return share(own, (i) => given[i] === batch.labels[i]);
    };
    const covered = this.#covered(made);
    const coverageOf = (own: typeof covered) => share(own, ({ isCovered }) => isCovered);
    const perClass = this.#dataset.classes.map((name, label) => ({
      name,
      images: batch.labels.filter((own) => own === label).length,
      fidelity: faithful((own) => own === label),
      ...classFeatureMeasures(pickFeatures(this.#unseen, label), pickFeatures(made, label)),
      coverage: coverageOf(covered.filter((image) => image.label === label)),
    }));
    return {
      images: batch.labels.length,
      all: faithful(() => true),
      tail: faithful(this.#isTail),
      distance: mean(nearestDistances(batch.images, bytesOf(train.images), height * width * channels))!,
      coverage: coverageOf(covered),
      frechet: mean(perClass.map(({ frechet }) => frechet)),
      precision: mean(perClass.map(({ precision }) => precision)),
      recall: mean(perClass.map(({ recall }) => recall)),
      perClass,
    };
  }

  /** Whether the set's tail images cover each unseen image of the tail. */
  #covered(made: Seen): { readonly label: number; readonly isCovered: boolean }[] {
    const unseenTail = Array.from(this.#unseen.labels).filter(this.#isTail);
    const near = isNearer(
      pickFeatures(this.#unseen, this.#isTail),
      pickFeatures(made, this.#isTail),
      this.#trainTail,
    );
    return unseenTail.map((label, i) => ({ label, isCovered: near[i]! }));
  }
}

function classFeatureMeasures(real: Features, made: Features) {
  const count = Math.min(real.values.length, made.values.length) / real.columns;
  if (count < LEAST_IMAGES) return { frechet: null, precision: null, recall: null };
  const first = ({ values, columns }: Features) => ({
    values: Array.from(values).slice(0, count * columns),
    columns,
  });
  const [a, b] = [first(real), first(made)];
  return { frechet: frechetDistance(a, b), ...precisionRecall(a, b) };
}

function pickFeatures({ labels, features }: Seen, wanted: number | ((label: number) => boolean)): Features {
  const keep = typeof wanted === 'number' ? (label: number) => label === wanted : wanted;
  const { values, columns } = features;
  const rows = Array.from(labels).flatMap((label, i) => (keep(label) ? [i] : []));
  return {
    columns,
    values: rows.flatMap((i) => Array.from({ length: columns }, (_, k) => values[i * columns + k]!)),
  };
}

/** The images of some classes, one after the other. */
export function pickImages(
  { images, labels }: Batch,
  keep: (label: number, index: number) => boolean,
): Batch {
  const size = images.length / labels.length;
  const own = [...labels.keys()].filter((i) => keep(labels[i]!, i));
  const out = new Uint8Array(own.length * size);
  own.forEach((image, i) => out.set(images.subarray(image * size, (image + 1) * size), i * size));
  return { images: out, labels: Int32Array.from(own, (i) => labels[i]!) };
}

function share<T>(items: readonly T[], is: (item: T) => boolean): number | null {
  return items.length === 0 ? null : items.filter(is).length / items.length;
}

/** Over the known values. */
function mean(values: ArrayLike<number | null>): number | null {
  const known = Array.from(values).filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** The images of a part as a batch. */
export function inMemory({ images, labels }: ImageSet): Batch {
  return { images: bytesOf(images), labels };
}
