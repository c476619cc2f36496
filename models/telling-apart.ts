/**
 * How well a small classifier distinguishes two sets of images: a linear discriminant on their features (Fisher 1936,
 * the pooled covariance shrunk towards its diagonal), five-fold cross-validated. 0.5 is chance; near 1, the sets differ
 * in something unrelated to the class.
 */
import { choleskyInPlace, solveInPlace } from './cholesky.ts';

const FOLDS = 5;
/** Of each set. */
export const FEWEST_SOURCES = 2 * FOLDS;
/** Weight of the diagonal in the pooled covariance. */
const SHRINKAGE = 0.2;

/** One set: a row of features for each image, and the image's source (copies of one image have the same source). */
export interface LabelledRows {
  readonly rows: readonly ArrayLike<number>[];
  readonly sources: ArrayLike<number>;
}

/**
 * Mean share of each set that is recognised, in [0, 1], over images whose source was not used for training; null if a
 * set has fewer than ten sources.
 */
export function tellApart(first: LabelledRows, second: LabelledRows): number | null {
  const sets = [first, second].map(({ rows, sources }) => {
    const ids = [...new Set(Array.from(sources))].sort((a, b) => a - b);
    const foldOf = new Map(ids.map((id, i) => [id, i % FOLDS]));
    return { rows, folds: rows.map((_, i) => foldOf.get(sources[i]!)!), count: ids.length };
  });
  if (sets.some(({ count }) => count < FEWEST_SOURCES)) return null;
  const right = [0, 0];
  for (let fold = 0; fold < FOLDS; fold++) {
    const [a, b] = sets.map(({ rows, folds }) => rows.filter((_, i) => folds[i] !== fold));
    const { direction, threshold } = discriminant(a!, b!);
    sets.forEach(({ rows, folds }, side) =>
      rows.forEach((row, i) => {
        if (folds[i] === fold && dot(direction, row) > threshold === (side === 1)) right[side]!++;
      }),
    );
  }
  return (right[0]! / first.rows.length + right[1]! / second.rows.length) / 2;
}

type Rows = readonly ArrayLike<number>[];

/** w = Σ⁻¹·(μ_b − μ_a), with the threshold halfway between the means. */
function discriminant(a: Rows, b: Rows): { direction: Float64Array; threshold: number } {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  const d = meanA.length;
  const pooled = new Float64Array(d * d);
  for (const [rows, mean] of [
    [a, meanA],
    [b, meanB],
  ] as const)
    // prettier-ignore
    for (const row of rows)
      for (let k = 0; k < d; k++)
        for (let j = 0; j <= k; j++)
          pooled[k * d + j]! += ((row[k]! - mean[k]!) * (row[j]! - mean[j]!)) / (2 * rows.length);
  for (let k = 0; k < d; k++) {
    for (let j = 0; j < k; j++) pooled[k * d + j]! *= 1 - SHRINKAGE;
    pooled[k * d + k]! += 1e-9; // a feature that never changes
  }
  choleskyInPlace(pooled, d);
  const direction = meanB.map((value, k) => value - meanA[k]!);
  solveInPlace(pooled, d, direction);
  return { direction, threshold: (dot(direction, meanA) + dot(direction, meanB)) / 2 };
}

function meanOf(rows: Rows): Float64Array {
  const mean = new Float64Array(rows[0]!.length);
  for (const row of rows) for (let k = 0; k < mean.length; k++) mean[k]! += row[k]! / rows.length;
  return mean;
}

function dot(direction: Float64Array, row: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < direction.length; k++) sum += direction[k]! * row[k]!;
  return sum;
}
