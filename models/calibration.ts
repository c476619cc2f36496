/**
 * Temperature scaling (Guo et al. 1706.04599): one number T that divides all logits, chosen to maximise the likelihood
 * of held-out images. It changes a classifier's confidence, never its decision.
 */
import type { Rows } from './metrics.ts';

const [LEAST, MOST] = [0.05, 20];
/** Halving alone would leave 20 · 2⁻⁶⁰ of the interval. */
const MOST_STEPS = 60;
const PRECISION = 1e-12;

/**
 * The T in [0.05, 20] with the least mean negative log-likelihood of `labels` under softmax(logits / T). The loss is convex in
 * β = 1/T, with slope mean(E_p[z] − z_label) and curvature mean(Var_p[z]), so Newton's method finds its minimum in a few
 * steps; a step that would leave the interval in which the slope changes sign is replaced by halving that. Float64.
 */
export function fitTemperature(logits: Rows, labels: ArrayLike<number>): number {
  let [low, high] = [1 / MOST, 1 / LEAST];
  if (derivatives(logits, labels, low).slope >= 0) return MOST;
  if (derivatives(logits, labels, high).slope <= 0) return LEAST;
  let beta = 1;
  for (let step = 0; step < MOST_STEPS; step++) {
    const { slope, curvature } = derivatives(logits, labels, beta);
    if (slope > 0) high = beta;
    else low = beta;
    const newton = beta - slope / curvature;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    const moved = Math.abs(next - beta);
    beta = next;
    if (moved <= PRECISION * beta) break;
  }
  return 1 / beta;
}

/** Logits divided by T. */
export function scaled({ values, columns }: Rows, temperature: number): Rows {
  return { values: Float64Array.from(values, (value) => value / temperature), columns };
}

/** Of the mean negative log-likelihood under softmax(β · logits), by β. */
function derivatives(
  { values, columns }: Rows,
  labels: ArrayLike<number>,
  beta: number,
): { slope: number; curvature: number } {
  let [slope, curvature] = [0, 0];
  for (let row = 0; row < labels.length; row++) {
    const from = row * columns;
    let largest = -Infinity;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, values[from + c]!);
    let [total, first, second] = [0, 0, 0]; // moments of z − max, weighted by exp(β (z − max))
    for (let c = 0; c < columns; c++) {
      const below = values[from + c]! - largest;
      const weight = Math.exp(beta * below);
      total += weight;
      first += weight * below;
      second += weight * below * below;
    }
    const expected = first / total;
    slope += expected - (values[from + labels[row]!]! - largest);
    curvature += second / total - expected * expected;
  }
  const count = Math.max(1, labels.length);
  return { slope: slope / count, curvature: curvature / count };
}
