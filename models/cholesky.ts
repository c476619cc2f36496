/** Symmetric positive definite systems, in float64 and in place; matrices are row-major [d, d]. */

/** The lower triangle becomes L with L·Lᵀ = matrix; the upper one is unchanged. */
export function choleskyInPlace(matrix: Float64Array, d: number): void {
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * d + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i * d + k]! * matrix[j * d + k]!;
      matrix[i * d + j] = i === j ? Math.sqrt(sum) : sum / matrix[j * d + j]!;
    }
}

/** Solves L·Lᵀ·x = b; b becomes x. */
export function solveInPlace(factor: Float64Array, d: number, b: Float64Array): void {
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < i; k++) b[i]! -= factor[i * d + k]! * b[k]!;
    b[i]! /= factor[i * d + i]!;
  }
  for (let i = d - 1; i >= 0; i--) {
    for (let k = i + 1; k < d; k++) b[i]! -= factor[k * d + i]! * b[k]!;
    b[i]! /= factor[i * d + i]!;
  }
}
