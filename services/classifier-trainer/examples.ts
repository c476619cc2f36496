/** Labelled images in the form that training takes, whether real, synthetic or from the archive. */

import { joinImages, pickImages } from '../../data/images.ts';
import type { Images } from '../../data/images.ts';

export interface Examples {
  /** [n, h, w, c]. */
  readonly images: Images;
  /** Class of each, by which it is drawn. */
  readonly labels: Int32Array;
  /** Probabilities [n, k] as targets instead of the class; null: the class itself. */
  readonly soft: Float32Array | null;
}

/** Concatenates parts. If some have soft labels, the labels of the others become one-hot rows. */
export function joinExamples(parts: readonly Examples[], classes: number): Examples {
  const filled = parts.filter(({ labels }) => labels.length > 0);
  if (filled.length === 1) return filled[0]!;
  const isSoft = filled.some(({ soft }) => soft !== null);
  return {
    images: joinImages(filled.map(({ images }) => images)),
    labels: joinLabels(filled.map(({ labels }) => labels)),
    soft: isSoft ? joinSoft(filled.map((part) => part.soft ?? oneHot(part.labels, classes))) : null,
  };
}

/** Classes of several parts, one after the other. */
export function joinLabels(parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * Unlabelled images with the labels [n, k] of a labeller: each is drawn as its most likely class. With a `threshold`,
 * only those whose most likely class has at least that probability, with that class as their only label.
 */
export function pseudoLabelled(
  images: Images,
  probabilities: Float32Array,
  classes: number,
  threshold: number | null,
): Examples {
  const count = probabilities.length / classes;
  const size = count === 0 ? 0 : images.length / count;
  const likeliest = Int32Array.from({ length: count }, (_, i) => {
    const row = probabilities.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
  if (threshold === null) return { images, labels: likeliest, soft: probabilities };
  const kept = [...likeliest.keys()].filter((i) => probabilities[i * classes + likeliest[i]!]! >= threshold);
  return {
    images: pickImages(images, kept, size),
    labels: Int32Array.from(kept, (i) => likeliest[i]!),
    soft: null,
  };
}

function joinSoft(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function oneHot(labels: Int32Array, classes: number): Float32Array {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => (rows[i * classes + label] = 1));
  return rows;
}
