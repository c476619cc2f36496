/**
 * Accuracy adaptive sampling (AAS): per-class accuracy in, a quota of synthetic images per class out. Pure functions
 * of plain values. The released rule is that of the authors' code (arXiv 2403.08407); ours adds a temperature, a
 * moving average over epochs, a floor, a cap and a sum of exactly N. Never reads test accuracy: its callers give
 * accuracy on training images, or on fresh variants of them.
 */
import { apportion } from '../../common/apportion.ts';
import type { SamplingState } from '../records/run-state.ts';

export interface AdaptiveSamplingOptions {
  readonly rule: 'released' | 'softmax' | 'uniform' | 'inverse-frequency';
  readonly temperature: number;
  /** Weight of the past in the moving average, in [0, 1). */
  readonly smoothing: number;
  readonly floor: number;
  readonly cap: number | null;
}

/** Accuracy of every class before any is measured. */
export const UNMEASURED_ACCURACY = 0.5;

export interface QuotaInput {
  readonly options: AdaptiveSamplingOptions;
  /** N, images of the epoch. */
  readonly budget: number;
  /** Training images of each class. */
  readonly classCounts: readonly number[];
  /** Per-class accuracy in [0, 1] of this epoch's weights; null when it was not measured. */
  readonly accuracy: readonly number[] | null;
  readonly state: SamplingState;
}

export interface QuotaDecision {
  readonly quota: readonly number[];
  /** The accuracy that the rule used (smoothed where it smooths). */
  readonly accuracy: readonly number[];
  readonly state: SamplingState;
}

/** Whether a rule reads accuracy, so that it has to be measured. */
export function readsAccuracy(rule: AdaptiveSamplingOptions['rule']): boolean {
  return rule === 'released' || rule === 'softmax';
}

/**
 * The quota of each class for the next epoch, and the state after it. Quotas sum to `budget` exactly, except under the
 * `released` rule (whose floor() loses up to one image per class) and when floor or cap make that impossible (then as
 * closely as they allow). Throws RangeError for accuracies outside [0, 1] or of another length than `classCounts`.
 */
export function decideQuota(input: QuotaInput): QuotaDecision {
  const { options, budget, classCounts, accuracy, state } = input;
  checkAccuracy(accuracy, classCounts.length);
  const next = smooth(state, accuracy, options.rule === 'softmax' ? options.smoothing : 0);
  const used = next.smoothedAccuracy ?? classCounts.map(() => UNMEASURED_ACCURACY);
  return { quota: quotaOf(options, budget, classCounts, used), accuracy: used, state: next };
}

/** n_c = floor(N · softmax(1 − a)_c), temperature 1. */
export function releasedQuota(accuracy: readonly number[], budget: number): number[] {
  return softmax(accuracy.map((a) => 1 - a)).map((share) => Math.floor(budget * share));
}

/** softmax, made safe for large values. */
export function softmax(values: readonly number[]): number[] {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function quotaOf(
  options: AdaptiveSamplingOptions,
  budget: number,
  classCounts: readonly number[],
  accuracy: readonly number[],
): number[] {
  const { rule, temperature, floor, cap } = options;
  switch (rule) {
    case 'released':
      return releasedQuota(accuracy, budget);
    case 'softmax':
      return apportion(softmax(accuracy.map((a) => (1 - a) / temperature)), budget, floor, cap);
    case 'uniform':
      return apportion(
        classCounts.map(() => 1),
        budget,
        floor,
        cap,
      );
    case 'inverse-frequency':
      return apportion(
        classCounts.map((n) => 1 / Math.max(n, 1)),
        budget,
        floor,
        cap,
      );
    default:
      return rule satisfies never;
  }
}

function smooth(state: SamplingState, accuracy: readonly number[] | null, past: number): SamplingState {
  if (!accuracy) return state;
  const before = state.smoothedAccuracy;
  if (!before) return { smoothedAccuracy: accuracy };
  return { smoothedAccuracy: accuracy.map((a, c) => past * before[c]! + (1 - past) * a) };
}

function checkAccuracy(accuracy: readonly number[] | null, classes: number): void {
  if (!accuracy) return;
  if (accuracy.length !== classes)
    throw new RangeError(`${accuracy.length} accuracies for ${classes} classes`);
  const wrong = accuracy.findIndex((a) => !(a >= 0 && a <= 1));
  if (wrong >= 0) throw new RangeError(`accuracy of class ${wrong} is ${accuracy[wrong]}, not in [0, 1]`);
}
