/**
 * An exponential long tail out of (nearly) balanced data: class i of K keeps round(largest · ratio^(−i/(K−1)))
 * images (Cui et al., CVPR 2019), at least one, chosen by a keyed permutation. The class order is the data's own.
 */
import { UserError } from '../common/errors.ts';
import { foldIn, keyFromSeed, permutation } from '../tensor/random.ts';
import { countClasses } from './source.ts';

export interface LongTail {
  /** First class's images for one of the last class, ≥ 1. */
  readonly ratio: number;
  /** Images of the first class; null: as many as every class allows. */
  readonly largest: number | null;
  readonly seed: number;
}

/** Images to keep of each class. Throws UserError when a class has too few. */
export function longTailCounts(
  available: readonly number[],
  classes: readonly string[],
  { ratio, largest }: LongTail,
): number[] {
  const shares = available.map((_, i) => ratio ** (-i / Math.max(1, available.length - 1)));
  const most = Math.floor(Math.min(...available.map((count, i) => (count + 1e-9) / shares[i]!)));
  const counts = shares.map((share) => Math.max(1, Math.round((largest ?? most) * share)));
  counts.forEach((count, i) => {
    if (count > available[i]!)
      throw new UserError(
        `data.longTail: class '${classes[i]}' has ${available[i]} images but its place in the tail asks for ${count}; set data.longTail.largest to ${Math.max(1, most)} or less`,
      );
  });
  return counts;
}

/** Indices kept and left over, both ascending. */
export function chooseLongTail(
  labels: Int32Array,
  classes: readonly string[],
  longTail: LongTail,
): { chosen: Int32Array; unused: Int32Array } {
  const members = classMembers(labels, classes.length);
  const counts = longTailCounts(countClasses(labels, classes.length), classes, longTail);
  const key = foldIn(keyFromSeed(longTail.seed), 'long-tail');
  const kept = new Uint8Array(labels.length);
  members.forEach((indices, label) => {
    const order = permutation(foldIn(key, label), indices.length);
    for (let i = 0; i < counts[label]!; i++) kept[indices[order[i]!]!] = 1;
  });
  const all = Array.from(labels.keys());
  return {
    chosen: Int32Array.from(all.filter((i) => kept[i] === 1)),
    unused: Int32Array.from(all.filter((i) => kept[i] === 0)),
  };
}

/** For each class the indices of its images, ascending. */
export function classMembers(labels: Int32Array, classes: number): number[][] {
  const members = Array.from({ length: classes }, (): number[] => []);
  labels.forEach((label, index) => members[label]!.push(index));
  return members;
}
