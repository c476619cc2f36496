/** The output of every reader: class names and, per split, labels, ids, groups and where the pixels are. Nothing is
 * decoded yet, so images that no split uses cost nothing.
 */
import { UserError } from '../common/errors.ts';
import type { Layout } from './layout/layout.ts';
import { compareNames } from './natural-order.ts';

const SHOWN_CLASSES = 20;

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
      /** How other values became bytes, where they did. */
      readonly note?: string;
    };

export interface Items {
  readonly labels: Int32Array;
  readonly ids: readonly string[];
  /** Images of one group belong together (one lesion, one patient); null: every image is independent. */
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
  readonly layout: Layout;
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

/** Names of the classes that occur in `labels`, in natural order. */
export function classesOf(labels: readonly (string | number)[]): string[] {
  return [...new Set(labels)].map(String).sort(compareNames);
}

/**
 * Labels as positions in `classes`. Throws UserError for a number that is not a whole number of at least 0, an empty
 * text, and a label that is not a class. `where` names the array in the message.
 */
export function positionsOf(
  labels: readonly (string | number)[],
  classes: readonly string[],
  where: string,
): Int32Array {
  const positions = new Map(classes.map((name, index) => [name, index]));
  return Int32Array.from(labels, (label, i) => {
    const isLabel = typeof label === 'string' ? label !== '' : Number.isInteger(label) && label >= 0;
    const position = isLabel ? positions.get(String(label)) : undefined;
    if (position === undefined)
      throw new UserError(
        `${where}: label ${label} of image ${i} is outside the ${classes.length} classes (${classes.slice(0, SHOWN_CLASSES).join(', ')}${classes.length > SHOWN_CLASSES ? ', …' : ''}); correct it or remove the image`,
      );
    return position;
  });
}

/** Ids of images without their own names: `train/000012`. */
export function numberedIds(split: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${split}/${String(i).padStart(6, '0')}`);
}
