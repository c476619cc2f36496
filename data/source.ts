/**
 * What every reader gives: class names and, per split, labels, ids, groups and where the pixels are. Nothing is
 * decoded yet, so images that no split uses cost nothing.
 */
import { UserError } from '../common/errors.ts';

export interface SkippedImage {
  /** File, or file and row. */
  readonly file: string;
  readonly reason: string;
}

/** Image files to decode, or pixels already in memory ([n, height, width, channels], row-major, 0..255). */
export type Pixels =
  | { readonly kind: 'files'; readonly files: readonly string[] }
  | {
      readonly kind: 'raw';
      readonly data: Uint8Array;
      readonly height: number;
      readonly width: number;
      readonly channels: number;
    };

export interface Items {
  readonly labels: Int32Array;
  readonly ids: readonly string[];
  /** Images of one group belong together (one lesion, one patient); null: every image stands alone. */
  readonly groups: readonly string[] | null;
  readonly pixels: Pixels;
}

export interface Source {
  /** Class names; a label is an index into them. */
  readonly classes: readonly string[];
  readonly train: Items;
  readonly validation: Items | null;
  readonly test: Items | null;
  /** Images that were left out while reading, with the reason. */
  readonly skipped: readonly SkippedImage[];
}

/** The items at `indices`, in that order. */
export function pick(items: Items, indices: Int32Array): Items {
  const order = Array.from(indices);
  return {
    labels: Int32Array.from(order, (i) => items.labels[i]!),
    ids: order.map((i) => items.ids[i]!),
    groups: items.groups ? order.map((i) => items.groups![i]!) : null,
    pixels: pickPixels(items.pixels, order),
  };
}

function pickPixels(pixels: Pixels, order: readonly number[]): Pixels {
  if (pixels.kind === 'files') return { kind: 'files', files: order.map((i) => pixels.files[i]!) };
  const size = pixels.height * pixels.width * pixels.channels;
  if (order.length * size === pixels.data.length && order.every((index, i) => index === i)) return pixels;
  const data = new Uint8Array(order.length * size);
  order.forEach((index, i) => data.set(pixels.data.subarray(index * size, (index + 1) * size), i * size));
  return { ...pixels, data };
}

/** Images of each class. */
export function countClasses(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

/** Refuses a label outside 0 … classes − 1. `where` names the file in the message. */
export function checkLabels(labels: ArrayLike<number>, classes: number, where: string): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes)
      throw new UserError(
        `${where}: label ${label} of image ${i} is outside the ${classes} classes (0 to ${classes - 1}); correct it or remove the image`,
      );
  }
}

/** Ids of images that have no name of their own: `train/000012`. */
export function numberedIds(split: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${split}/${String(i).padStart(6, '0')}`);
}
