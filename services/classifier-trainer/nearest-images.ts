/**
 * The training image nearest to a synthetic one: the quickest way to detect a copied image. Distance is the root mean
 * square difference of pixels, in [0, 1], without shifts, rotations or flips.
 */
import type { ImageSet } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { classMembers } from '../../data/long-tail.ts';
import type { ImageShape } from '../../models/model-file.ts';

export interface Nearest {
  /** Position among the training images. */
  readonly index: number;
  readonly distance: number;
}

/** A queried image: its position among the given images, and its intended class. */
export interface Asked {
  readonly index: number;
  readonly label: number;
}

/** Images are compared at this side, pixels, or less; the reported distance is that of whole images. */
const THUMB_SIDE = 16;
/** Pixels averaged per thumbnail pixel, along each axis. */
const SAMPLES = 4;
/** Above this number of comparisons, each image is compared only with training images of its own class. */
const MOST_PAIRS = 4_000_000;
/** Pixels between two checks whether a comparison can stop. */
const BLOCK = 64;

export class NearestImages {
  readonly #set: Pick<ImageSet, 'images' | 'labels'>;
  readonly #shape: ImageShape;
  readonly #members: readonly (readonly number[])[];
  /** Thumbnails of the training images, made at the first query. */
  #thumbs: Uint8Array | undefined;

  constructor(set: Pick<ImageSet, 'images' | 'labels'>, shape: ImageShape, classes: number) {
    this.#set = set;
    this.#shape = shape;
    this.#members = classMembers(set.labels, classes);
  }

  /** The nearest training image of each queried image of `images` [n, h, w, c]; of equals the first. */
  find(images: Uint8Array, asked: readonly Asked[]): Nearest[] {
    this.#thumbs ??= thumbnails(this.#set.images, [...this.#set.labels.keys()], this.#shape);
    const own = thumbnails(
      images,
      asked.map(({ index }) => index),
      this.#shape,
    );
    const size = asked.length === 0 ? 0 : own.length / asked.length;
    const looksAtAll = asked.length * this.#set.labels.length <= MOST_PAIRS;
    return asked.map(({ index, label }, i) => {
      const thumb = own.subarray(i * size, (i + 1) * size);
      const found = this.#search(thumb, this.#members[label] ?? [], looksAtAll);
      return { index: found, distance: this.#distance(images, index, found) };
    });
  }

  /** Searches its own class first: a close match makes most other comparisons short. */
  #search(thumb: Uint8Array, own: readonly number[], looksAtAll: boolean): number {
    const best = { index: own[0] ?? 0, distance: Infinity };
    for (const index of own) this.#compare(thumb, index, best);
    if (looksAtAll || own.length === 0)
      for (let index = 0; index < this.#set.labels.length; index++) this.#compare(thumb, index, best);
    return best.index;
  }

  #compare(thumb: Uint8Array, index: number, best: { index: number; distance: number }): void {
    const thumbs = this.#thumbs!;
    const base = index * thumb.length;
    let sum = 0;
    for (let from = 0; from < thumb.length; from += BLOCK) {
      const to = Math.min(thumb.length, from + BLOCK);
      for (let i = from; i < to; i++) {
        const difference = thumb[i]! - thumbs[base + i]!;
        sum += difference * difference;
      }
      if (sum > best.distance) return;
    }
    if (sum < best.distance || index < best.index) Object.assign(best, { index, distance: sum });
  }

  #distance(images: Uint8Array, index: number, trained: number): number {
    const { height, width, channels } = this.#shape;
    const size = height * width * channels;
    const real = this.#set.images.subarray(trained * size, (trained + 1) * size);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const difference = images[index * size + i]! - real[i]!;
      sum += difference * difference;
    }
    return Math.sqrt(sum / size) / 255;
  }
}

/** Small copies [n, h', w', c] of the chosen images; each pixel the mean of up to `SAMPLES`² of its square. */
function thumbnails(images: Images, chosen: readonly number[], shape: ImageShape): Uint8Array {
  const { height, width, channels } = shape;
  const side = Math.max(1, Math.ceil(Math.max(height, width) / THUMB_SIDE));
  const [rows, columns] = [Math.ceil(height / side), Math.ceil(width / side)];
  const offsets = Array.from({ length: Math.min(side, SAMPLES) }, (_, i) =>
    Math.floor(((i + 0.5) * side) / Math.min(side, SAMPLES)),
  );
  const size = height * width * channels;
  const thumbs = new Uint8Array(chosen.length * rows * columns * channels);
  let at = 0;
  for (const index of chosen) {
    const image = images.subarray(index * size, (index + 1) * size);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (let channel = 0; channel < channels; channel++) {
          let sum = 0;
          for (const dy of offsets)
            for (const dx of offsets) {
              const y = Math.min(height - 1, row * side + dy);
              const x = Math.min(width - 1, column * side + dx);
              sum += image[(y * width + x) * channels + channel]!;
            }
          thumbs[at++] = Math.round(sum / offsets.length ** 2);
        }
  }
  return thumbs;
}
