/**
 * The examples of an epoch and their order: a pure, keyed function. Examples are numbered real first (0 … R − 1), then
 * the epoch's synthetic images (R … R + N − 1). Every method fills the same number of places, so all take the same
 * number of optimiser steps.
 */
import { apportion } from '../../common/apportion.ts';
import { classMembers } from '../../data/long-tail.ts';
import { foldIn, permutation } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';

export interface EpochOrderInput {
  /** Class of each real image. */
  readonly realLabels: Int32Array;
  /** Class of each synthetic image; empty for methods that make none. */
  readonly syntheticLabels: Int32Array;
  readonly classes: number;
  /**
   * `natural`: every example once, and the remaining places filled with further passes over the real images.
   * `class-balanced`, `square-root`, `progressive` (from ∝ n_c to ∝ 1, evenly over the epochs): each place draws a
   * class with P(c) ∝ 1 or √n_c, then one of its examples, real or synthetic, all equally often.
   */
  readonly sampling: 'natural' | 'class-balanced' | 'square-root' | 'progressive';
  /** Epochs of the run; `progressive` moves from the first to the last. */
  readonly epochs: number;
  /**
   * Largest share of synthetic images among a drawn class's places; up to it, and for null, real and synthetic ones are
   * drawn alike.
   */
  readonly syntheticShare: number | null;
  /**
   * Number of real images of each class drawn again in addition to the natural pass: the matched control of synthesis.
   */
  readonly replay: readonly number[];
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
  const members = classMembers(realLabels, classes);
  const replayKey = foldIn(key, 'replay', epoch);
  replay.forEach((count, label) => pool.push(...passes(members[label]!, count, replayKey, label)));
  // Methods with fewer examples than places continue with further passes over the real images.
  for (let pass = 0; pool.length < places; pass++) {
    const order = permutation(foldIn(key, 'pass', epoch, pass), real);
    pool.push(...order.subarray(0, places - pool.length));
  }
  return permutation(foldIn(key, 'order', epoch), pool.length).map((i) => pool[i]!);
}

function drawnOrder(input: EpochOrderInput): Int32Array {
  const { realLabels, syntheticLabels, classes, sampling, epochs, syntheticShare, places, key, epoch } =
    input;
  const counts = classCounts(realLabels, classes);
  const weights = classShares(sampling, counts, epochs < 2 ? 1 : (epoch - 1) / (epochs - 1));
  const labels = Int32Array.from([...realLabels, ...syntheticLabels]);
  const drawKey = foldIn(key, 'draw', epoch);
  const drawn =
    syntheticShare === null
      ? drawByClass(labels, weights, places, drawKey)
      : drawByShare(labels, realLabels.length, { weights, syntheticShare, places }, drawKey);
  return permutation(foldIn(key, 'order', epoch), places).map((i) => drawn[i]!);
}

/**
 * P(c) up to a factor, 0 for a class without images. `progressive` at `progress` in [0, 1] is
 * (1 − progress)·n_c/n + progress/K (Kang et al. 1910.09217).
 */
function classShares(
  sampling: EpochOrderInput['sampling'],
  counts: readonly number[],
  progress: number,
): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => {
    if (count === 0) return 0;
    if (sampling === 'square-root') return Math.sqrt(count);
    return sampling === 'progressive' ? ((1 - progress) * count) / total + progress / present : 1;
  });
}

/**
 * `count` examples: each class gets its share of the weights (largest remainder), filled by keyed passes over its
 * examples, so that each is used equally often.
 */
function drawByClass(labels: Int32Array, weights: readonly number[], count: number, key: Key): number[] {
  const members = classMembers(labels, weights.length);
  return apportion(weights, count).flatMap((share, label) => passes(members[label]!, share, key, label));
}

/**
 * The same, with at most `syntheticShare` of each class's places for its synthetic images, which are numbered from
 * `real`: without the bound, a rare class would use its few real images too rarely.
 */
function drawByShare(
  labels: Int32Array,
  real: number,
  { weights, syntheticShare, places }: { weights: readonly number[]; syntheticShare: number; places: number },
  key: Key,
): number[] {
  const members = classMembers(labels, weights.length);
  return apportion(weights, places).flatMap((share, label) => {
    const firstSynthetic = members[label]!.findIndex((example) => example >= real);
    if (firstSynthetic < 0) return passes(members[label]!, share, key, label);
    const alike = 1 - firstSynthetic / members[label]!.length;
    const bound = firstSynthetic === 0 ? 1 : syntheticShare;
    const synthetic = Math.round(Math.min(bound, alike) * share);
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

export function classCounts(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}
