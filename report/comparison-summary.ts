/** A comparison boiled down: per method the mean and spread over seeds and the paired difference from the reference. */

import { worstOf } from './class-recall.ts';
import { percent, plural, points } from './format.ts';
import type { ComparisonReport, MethodReport } from './records.ts';
import {
  groupByMethod,
  type MethodGroup,
  type PairedDifference,
  pairedDifference,
  referenceMethod,
  type Summary,
  summarize,
} from './statistics.ts';

/** The measures that methods are ranked by; larger is better in all. */
export const MEASURES = {
  balancedAccuracy: (run: MethodReport): number => run.balancedAccuracy,
  worstRecall: (run: MethodReport): number => worstOf(run.perClassRecall),
  accuracy: (run: MethodReport): number => run.accuracy,
  macroF1: (run: MethodReport): number => run.macroF1,
  mcc: (run: MethodReport): number => run.mcc,
} as const;

export type Measure = keyof typeof MEASURES;

export interface MethodSummary {
  readonly group: MethodGroup;
  readonly measures: Readonly<Record<Measure, Summary>>;
  /** Balanced accuracy against the reference, by seed; null for the reference itself and without shared seeds. */
  readonly difference: PairedDifference | null;
  /** Class fidelity of the last judged epoch. */
  readonly fidelity: Summary;
  readonly syntheticImages: number;
  readonly optimizerSteps: number;
  readonly seconds: Summary;
}

export interface ComparisonSummary {
  readonly methods: readonly MethodSummary[];
  readonly reference: string | null;
  /** The most runs that a method has. */
  readonly seeds: number;
}

function summarizeMethod(group: MethodGroup, reference: MethodGroup | null): MethodSummary {
  const over = (measure: (run: MethodReport) => number): Summary => summarize(group.runs.map(measure));
  const fidelities = group.runs.map(
    (run) => run.epochs.findLast((record) => record.fidelity !== null)?.fidelity?.all ?? null,
  );
  return {
    group,
    measures: {
      balancedAccuracy: over(MEASURES.balancedAccuracy),
      worstRecall: over(MEASURES.worstRecall),
      accuracy: over(MEASURES.accuracy),
      macroF1: over(MEASURES.macroF1),
      mcc: over(MEASURES.mcc),
    },
    difference:
      reference === null || reference === group
        ? null
        : pairedDifference(group, reference, MEASURES.balancedAccuracy),
    fidelity: summarize(fidelities),
    syntheticImages: over((run) => run.syntheticImages).mean,
    optimizerSteps: over((run) => run.optimizerSteps).mean,
    seconds: over((run) => run.seconds),
  };
}

export function summarizeComparison(report: ComparisonReport): ComparisonSummary {
  const groups = groupByMethod(report);
  const reference = referenceMethod(groups);
  return {
    methods: groups.map((group) => summarizeMethod(group, reference)),
    reference: reference?.method ?? null,
    seeds: Math.max(0, ...groups.map((group) => group.runs.length)),
  };
}

/** The largest mean of `measure`, or NaN. Methods that reach it are marked as best. */
export function bestMean(methods: readonly MethodSummary[], measure: Measure): number {
  const means = methods.map((method) => method.measures[measure].mean).filter(Number.isFinite);
  return means.length === 0 ? NaN : Math.max(...means);
}

/** '79.1%' of one run, '79.1 ± 0.4%' of several (sample standard deviation). */
export function rateWithSpread({ mean, deviation }: Summary): string {
  return deviation === null ? percent(mean) : `${(mean * 100).toFixed(1)} ± ${(deviation * 100).toFixed(1)}%`;
}

/** '+4.5', or '+4.5 [+2.1, +6.9]' with an interval; percentage points. */
export function differenceWithInterval(difference: PairedDifference | null): string {
  if (difference === null) return '–';
  const { mean, interval } = difference;
  return interval === null
    ? points(mean)
    : `${points(mean)} [${points(interval.low)}, ${points(interval.high)}]`;
}

function verdict(difference: PairedDifference | null, reference: string): string {
  if (difference === null) return '';
  const size = `${points(difference.mean)} points against ${reference}`;
  if (difference.interval === null) return `, ${size} (one seed: the spread is unknown)`;
  const { low, high } = difference.interval;
  const clear = low > 0 || high < 0 ? 'clear of zero' : 'zero is inside the interval';
  return `, ${size} (95% interval ${points(low)} to ${points(high)} over ${plural(difference.n, 'paired seed')}: ${clear})`;
}

/** The result in one sentence. */
export function comparisonSentence(summary: ComparisonSummary): string {
  const best = bestMean(summary.methods, 'balancedAccuracy');
  const winner = summary.methods.find((method) => method.measures.balancedAccuracy.mean === best);
  if (winner === undefined) return 'Nothing was evaluated.';
  const against = verdict(winner.difference, summary.reference ?? '');
  return `Of ${plural(summary.methods.length, 'method')}, ${winner.group.method} has the highest balanced accuracy: ${rateWithSpread(winner.measures.balancedAccuracy)}${against}.`;
}
