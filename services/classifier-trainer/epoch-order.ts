/**
 * Which examples an epoch trains on, in which order: pure, and keyed. Examples are numbered real first (0 … R − 1), then
 * the epoch's synthetic images (R … R + N − 1). Every method fills the same number of places, so that all take equally
 * many optimiser steps.
 */
import { apportion } from '../../common/apportion.ts';
import { foldIn, permutation } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';

export interface EpochOrderInput {
  /** Class of each real image. */
  readonly realLabels: Int32Array;
  /** Class of each synthetic image; empty for methods that make none. */
  readonly syntheticLabels: Int32Array;
  readonly classes: number;
  /**
   * `natural`: every example once, what is left of the places filled with further passes over the real images.
   * `class-balanced`, `square-root`: each place draws a class with P(c) ∝ 1 or √n_c, then one of its examples, real or
   * synthetic, each equally often.
   */
  readonly sampling: 'natural' | 'class-balanced' | 'square-root';
  /** Share of a drawn class's places that its synthetic images take, where it has any; null draws from both alike. */
  readonly syntheticShare: number | null;
  /** Real images drawn again beside the natural pass, by inverse class frequency (the matched control of synthesis). */
  readonly replay: number;
  /** Places of the epoch. */
  readonly places: number;
  /** Key of the run. */
  readonly key: Key;
  /** From 1. */
  readonly epoch: number;
}

/** Example of each place. */
export function epochOrder(input: EpochOrderInput): Int32Array {
  return input.sampling === 'natural' ? naturalOrder(input) : drawnOrder(input);
}

function naturalOrder({
  realLabels,
  syntheticLabels,
  classes,
  replay,
  places,
  key,
  epoch,
}: EpochOrderInput): Int32Array {
  const real = realLabels.length;
  const pool: number[] = Array.from({ length: real + syntheticLabels.length }, (_, i) => i);
  if (replay > 0) {
    const inverse = classCounts(realLabels, classes).map((count) => (count > 0 ? 1 / count : 0));
    pool.push(...drawByClass(realLabels, inverse, replay, foldIn(key, 'replay', epoch)));
  }
  // Methods with fewer examples than places go on with further passes over the real images.
  for (let pass = 0; pool.length < places; pass++) {
    const order = permutation(foldIn(key, 'pass', epoch, pass), real);
    pool.push(...order.subarray(0, places - pool.length));
  }
  return permutation(foldIn(key, 'order', epoch), pool.length).map((i) => pool[i]!);
}

function drawnOrder(input: EpochOrderInput): Int32Array {
  const { realLabels, syntheticLabels, classes, sampling, syntheticShare, places, key, epoch } = input;
  const counts = classCounts(realLabels, classes);
  const weights = counts.map((count) =>
    count === 0 ? 0 : sampling === 'square-root' ? Math.sqrt(count) : 1,
  );
  const labels = Int32Array.from([...realLabels, ...syntheticLabels]);
  const drawKey = foldIn(key, 'draw', epoch);
  const drawn =
    syntheticShare === null
      ? drawByClass(labels, weights, places, drawKey)
      : drawByShare(labels, realLabels.length, { weights, syntheticShare, places }, drawKey);
  return permutation(foldIn(key, 'order', epoch), places).map((i) => drawn[i]!);
}

/**
 * `count` examples: each class gets its share of the weights (largest remainder), filled by keyed passes over its
 * examples, so that each is seen equally often.
 */
function drawByClass(labels: Int32Array, weights: readonly number[], count: number, key: Key): number[] {
  const members = membersOf(labels, weights.length);
  return apportion(weights, count).flatMap((share, label) => passes(members[label]!, share, key, label));
}

/** The same, with `syntheticShare` of each class's places for its synthetic images: those from `real` on. */
function drawByShare(
  labels: Int32Array,
  real: number,
  { weights, syntheticShare, places }: { weights: readonly number[]; syntheticShare: number; places: number },
  key: Key,
): number[] {
  const members = membersOf(labels, weights.length);
  return apportion(weights, places).flatMap((share, label) => {
    const firstSynthetic = members[label]!.findIndex((example) => example >= real);
    if (firstSynthetic < 0) return passes(members[label]!, share, key, label);
    const synthetic = Math.round(syntheticShare * share);
    return [
      ...passes(members[label]!.slice(0, firstSynthetic), share - synthetic, key, label),
      ...passes(members[label]!.slice(firstSynthetic), synthetic, foldIn(key, 'synthetic'), label),
    ];
  });
}

function passes(own: readonly number[], count: number, key: Key, label: number): number[] {
  const drawn: number[] = [];
  for (let pass = 0; drawn.length < count; pass++) {
    const order = permutation(foldIn(key, label, pass), own.length);
    for (const i of order.subarray(0, count - drawn.length)) drawn.push(own[i]!);
  }
  return drawn;
}

function membersOf(labels: Int32Array, classes: number): number[][] {
  const members: number[][] = Array.from({ length: classes }, () => []);
  labels.forEach((label, i) => members[label]!.push(i));
  return members;
}

export function classCounts(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}
