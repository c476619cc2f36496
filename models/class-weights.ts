/** Class weights of the loss, from image counts; each list has mean 1. */

/** w_c ∝ 1/n_c. A class without images counts as one. */
export function inverseFrequencyWeights(counts: readonly number[]): number[] {
  return withMeanOne(counts.map((count) => 1 / Math.max(count, 1)));
}

/** w_c ∝ (1 − β)/(1 − β^{n_c}): the effective number of samples (Cui et al. 1901.05555). */
export function effectiveNumberWeights(counts: readonly number[], beta: number): number[] {
  return withMeanOne(counts.map((count) => (1 - beta) / (1 - beta ** Math.max(count, 1))));
}

function withMeanOne(weights: readonly number[]): number[] {
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  return weights.map((weight) => weight / mean);
}
