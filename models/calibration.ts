/**
 * Temperature scaling (Guo et al. 1706.04599): one number T that divides all logits, chosen to maximise the likelihood
 * of held-out images. It changes a classifier's confidence, never its decision.
 */
import type { Rows } from './metrics.ts';

const LOG_RANGE = [Math.log(0.05), Math.log(20)] as const;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const STEPS = 60;

/**
 * The T in [0.05, 20] with the least mean negative log-likelihood of `labels` under softmax(logits / T), found by
 * golden-section search over log T, where the likelihood has one optimum. Float64.
 */
export function fitTemperature(logits: Rows, labels: ArrayLike<number>): number {
  const lossAt = (logT: number) => scaledNll(logits, labels, Math.exp(logT));
  let [low, high] = LOG_RANGE;
  let [inner, outer] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [atInner, atOuter] = [lossAt(inner), lossAt(outer)];
  for (let step = 0; step < STEPS; step++) {
    if (atInner < atOuter) {
      [high, outer, atOuter] = [outer, inner, atInner];
      inner = high - GOLDEN * (high - low);
      atInner = lossAt(inner);
    } else {
      [low, inner, atInner] = [inner, outer, atOuter];
      outer = low + GOLDEN * (high - low);
      atOuter = lossAt(outer);
    }
  }
  return Math.exp((low + high) / 2);
}

/** Logits divided by T. */
export function scaled({ values, columns }: Rows, temperature: number): Rows {
  return { values: Float64Array.from(values, (value) => value / temperature), columns };
}

function scaledNll({ values, columns }: Rows, labels: ArrayLike<number>, temperature: number): number {
  let total = 0;
  for (let row = 0; row < labels.length; row++) {
    const from = row * columns;
    let largest = -Infinity;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, values[from + c]!);
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += Math.exp((values[from + c]! - largest) / temperature);
    total += Math.log(sum) - (values[from + labels[row]!]! - largest) / temperature;
  }
  return total / Math.max(1, labels.length);
}
