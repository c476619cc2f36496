/**
 * Class-mean guidance from linear discriminant statistics: the information of a label about an image when every class
 * is a Gaussian with mean μ_y and one shared covariance Σ. With x_t = a·x0 + s·ε,
 *
 *   E[x0 | x_t, y] − E[x0 | x_t] = s²·(a²Σ + s²I)⁻¹·(μ_y − μ̄)
 *
 * so adding that shift to the estimate of an unlabelled denoiser makes it the denoiser of class y: exactly, for such
 * Gaussians (the conditional mean of a linear model, Bishop 2006, eq. 2.116). It needs no gradient, does not depend on
 * x_t, and fades with the noise.
 *
 *   μ_c = mean of class c;  μ̄ = mean of the μ_c;
 *   Σ = Σ_i w_i·(x_i − μ_{y_i})(x_i − μ_{y_i})ᵀ + ridge·I,  w_i ∝ 1/n_{y_i}, Σ w = 1
 *
 * Statistics are of pixels in [−1, 1]. Images of more than `MOST_VALUES` values are averaged over square blocks first,
 * and the shift is interpolated back.
 */
import { choleskyInPlace, solveInPlace } from './cholesky.ts';
import type { NoiseLevel } from './schedule.ts';

/** Values of the largest image whose covariance is computed at full resolution. */
export const MOST_VALUES = 1024;
/** Added to the diagonal of Σ. */
export const RIDGE = 0.01;

export interface ImageSize {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Means and covariance of blocks of `block` × `block` pixels; d = channels · height/block · width/block. */
export interface ClassStatistics {
  readonly size: ImageSize;
  readonly block: number;
  /** μ_c − μ̄, row-major [classes, d]; zeros for a class without images. */
  readonly offsets: Float32Array;
  /** Σ, row-major [d, d]. */
  readonly covariance: Float32Array;
}

/**
 * Statistics of `count` images given as floats [count, c, h, w] in [−1, 1]; labels in [0, classes). Throws RangeError
 * when labels and images differ in number.
 */
export function classStatistics(
  images: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  size: ImageSize,
): ClassStatistics {
  const perImage = size.channels * size.height * size.width;
  const count = labels.length;
  if (images.length !== count * perImage)
    throw new RangeError(`${images.length} values are not ${count} images of ${perImage}`);
  const block = blockOf(size);
  const d = perImage / (block * block);
  const rows = Array.from({ length: count }, (_, i) =>
    blockMeans(images.subarray(i * perImage, (i + 1) * perImage), size, block),
  );
  const { means, counts } = classMeans(rows, labels, classes, d);
  return {
    size,
    block,
    offsets: Float32Array.from(offsetsOf(means, counts, d)),
    covariance: Float32Array.from(covarianceOf(rows, labels, means, counts, d)),
  };
}

/** The smallest block that divides height and width and leaves at most `MOST_VALUES` values. */
export function blockOf({ channels, height, width }: ImageSize): number {
  const fits = (block: number) =>
    height % block === 0 &&
    width % block === 0 &&
    (channels * height * width) / (block * block) <= MOST_VALUES;
  for (let block = 1; block < Math.max(height, width); block++) if (fits(block)) return block;
  throw new RangeError(`${height} × ${width} pixels have no common block that leaves ${MOST_VALUES} values`);
}

function blockMeans(
  image: Float32Array,
  { channels, height, width }: ImageSize,
  block: number,
): Float64Array {
  const [rows, columns] = [height / block, width / block];
  const out = new Float64Array(channels * rows * columns);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        out[(c * rows + Math.floor(y / block)) * columns + Math.floor(x / block)]! +=
          image[(c * height + y) * width + x]! / (block * block);
  return out;
}

function classMeans(rows: readonly Float64Array[], labels: ArrayLike<number>, classes: number, d: number) {
  const counts = new Array<number>(classes).fill(0);
  const means = Array.from({ length: classes }, () => new Float64Array(d));
  rows.forEach((row, i) => {
    counts[labels[i]!]!++;
    const mean = means[labels[i]!]!;
    for (let k = 0; k < d; k++) mean[k]! += row[k]!;
  });
  means.forEach((mean, c) => {
    for (let k = 0; k < d; k++) mean[k]! /= Math.max(1, counts[c]!);
  });
  return { means, counts };
}

function offsetsOf(means: readonly Float64Array[], counts: readonly number[], d: number): Float64Array {
  const present = means.filter((_, c) => counts[c]! > 0);
  const out = new Float64Array(means.length * d);
  for (let k = 0; k < d; k++) {
    const centre = present.reduce((sum, mean) => sum + mean[k]!, 0) / present.length;
    means.forEach((mean, c) => {
      if (counts[c]! > 0) out[c * d + k] = mean[k]! - centre;
    });
  }
  return out;
}

function covarianceOf(
  rows: readonly Float64Array[],
  labels: ArrayLike<number>,
  means: readonly Float64Array[],
  counts: readonly number[],
  d: number,
): Float64Array {
  const present = counts.filter((count) => count > 0).length;
  const out = new Float64Array(d * d);
  const residual = new Float64Array(d);
  rows.forEach((row, i) => {
    const label = labels[i]!;
    const weight = 1 / (present * counts[label]!);
    for (let k = 0; k < d; k++) residual[k] = row[k]! - means[label]![k]!;
    for (let k = 0; k < d; k++) {
      const factor = weight * residual[k]!;
      if (factor === 0) continue;
      const from = k * d;
      for (let j = 0; j <= k; j++) out[from + j]! += factor * residual[j]!;
    }
  });
  for (let k = 0; k < d; k++) {
    out[k * d + k]! += RIDGE;
    for (let j = 0; j < k; j++) out[j * d + k] = out[k * d + j]!;
  }
  return out;
}

/**
 * λ·s²·(a²Σ + s²I)⁻¹·(μ_y − μ̄) of every class at one level, at the images' full size: [classes, c, h, w]. Float64
 * inside, so that every process gets the same bits.
 */
export function classShifts(
  statistics: ClassStatistics,
  { a, s }: Pick<NoiseLevel, 'a' | 's'>,
  lambda: number,
): Float32Array {
  const { size, block, offsets, covariance } = statistics;
  const perImage = size.channels * size.height * size.width;
  const d = perImage / (block * block);
  const classes = offsets.length / d;
  const matrix = Float64Array.from(covariance, (value) => a * a * value);
  for (let k = 0; k < d; k++) matrix[k * d + k]! += s * s;
  choleskyInPlace(matrix, d);
  const out = new Float32Array(classes * perImage);
  for (let c = 0; c < classes; c++) {
    const shift = Float64Array.from(offsets.subarray(c * d, (c + 1) * d), (value) => lambda * s * s * value);
    solveInPlace(matrix, d, shift);
    out.set(enlarged(shift, size, block), c * perImage);
  }
  return out;
}

/** Bilinear interpolation between the centres of blocks, edges repeated: [c, h/b, w/b] → [c, h, w]. */
function enlarged(small: Float64Array, { channels, height, width }: ImageSize, block: number): Float64Array {
  if (block === 1) return small;
  const [rows, columns] = [height / block, width / block];
  const out = new Float64Array(channels * height * width);
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = between(y, block, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, across] = between(x, block, columns);
      for (let c = 0; c < channels; c++) {
        const at = (row: number, column: number) => small[(c * rows + row) * columns + column]!;
        const upper = (1 - across) * at(top, left) + across * at(top, right);
        const lower = (1 - across) * at(bottom, left) + across * at(bottom, right);
        out[(c * height + y) * width + x] = (1 - down) * upper + down * lower;
      }
    }
  }
  return out;
}

/** The two blocks whose centres lie around a pixel, and how far it is from the first to the second. */
function between(pixel: number, block: number, blocks: number): [number, number, number] {
  const place = Math.min(blocks - 1, Math.max(0, (pixel + 0.5) / block - 0.5));
  const first = Math.floor(place);
  return [first, Math.min(blocks - 1, first + 1), place - first];
}
