/**
 * Distances between two sets of images in the features of a network, row-major [n, d] each:
 *
 *   Fréchet distance   ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2·(Σ₁^½ Σ₂ Σ₁^½)^½)                        (Heusel et al. 1706.08500)
 *   precision          share of the second set inside the ball of some image of the first to its k-th nearest neighbour
 *   recall             the same with the sets exchanged                                     (Kynkäänniemi et al. 1904.06991)
 *   coverage           share of unseen images that lie nearer to some image of the set than to any training image
 *
 * The Fréchet distance of small sets is biased upwards: compare only distances of sets of equal sizes.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

export interface Features {
  /** Row-major [n, columns]. */
  readonly values: ArrayLike<number>;
  readonly columns: number;
}

/** Throws RangeError for sets of fewer than two images or of different features. */
export function frechetDistance(first: Features, second: Features): number {
  if (first.columns !== second.columns) throw new RangeError('the sets have different features');
  const [a, b] = [moments(first), moments(second)];
  const shift = Matrix.sub(a.mean, b.mean).norm('frobenius') ** 2;
  const root = squareRoot(a.covariance);
  const inner = root.mmul(b.covariance).mmul(root);
  const cross = eigen(inner).realEigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  return shift + a.covariance.trace() + b.covariance.trace() - 2 * cross;
}

function moments({ values, columns }: Features): { mean: Matrix; covariance: Matrix } {
  const count = values.length / columns;
  if (count < 2) throw new RangeError(`a set of ${count} images has no covariance`);
  const rows = Matrix.from1DArray(count, columns, Array.from(values));
  const mean = Matrix.rowVector(rows.mean('column'));
  const centred = rows.subRowVector(mean);
  return {
    mean,
    covariance: centred
      .transpose()
      .mmul(centred)
      .div(count - 1),
  };
}

function squareRoot(symmetric: Matrix): Matrix {
  const { eigenvectorMatrix: vectors, realEigenvalues } = eigen(symmetric);
  const roots = Matrix.diag(realEigenvalues.map((value) => Math.sqrt(Math.max(0, value))));
  return vectors.mmul(roots).mmul(vectors.transpose());
}

function eigen(matrix: Matrix): EigenvalueDecomposition {
  const symmetric = Matrix.add(matrix, matrix.transpose()).mul(0.5); // rid of rounding
  return new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });
}

/** Precision and recall of `made` against `real` with balls to the k-th nearest neighbour of their own set. */
export function precisionRecall(
  real: Features,
  made: Features,
  k = 3,
): { precision: number; recall: number } {
  return { precision: shareInside(made, real, k), recall: shareInside(real, made, k) };
}

/** For each of `unseen`, whether it is nearer to some row of `set` than to every row of `training`. */
export function isNearer(unseen: Features, set: Features, training: Features): boolean[] {
  const [points, made, known] = [rowsOf(unseen), rowsOf(set), rowsOf(training)];
  const least = (point: Float64Array, rows: readonly Float64Array[]) =>
    rows.reduce((distance, row) => Math.min(distance, squaredDistance(point, row)), Infinity);
  return points.map((point) => least(point, made) < least(point, known));
}

/** Share of `points` inside the ball of some image of `set`. */
function shareInside(points: Features, set: Features, k: number): number {
  const [p, s] = [rowsOf(points), rowsOf(set)];
  if (s.length <= k) throw new RangeError(`a set of ${s.length} images has no ${k}-th neighbours`);
  const radii = s.map((row, i) => {
    const distances = s.filter((_, j) => j !== i).map((other) => squaredDistance(row, other));
    return distances.sort((a, b) => a - b)[k - 1]!;
  });
  const inside = p.filter((point) => s.some((row, i) => squaredDistance(point, row) <= radii[i]!));
  return inside.length / p.length;
}

function rowsOf({ values, columns }: Features): Float64Array[] {
  return Array.from({ length: values.length / columns }, (_, i) =>
    Float64Array.from({ length: columns }, (__, k) => values[i * columns + k]!),
  );
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k]! - b[k]!) ** 2;
  return sum;
}
