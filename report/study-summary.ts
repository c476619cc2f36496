/** Figures and sentences about a study's rows, for tables, charts and pages. */
import { decimal, NO_VALUE, percent, plural, points } from './format.ts';
import { type Interval, type Summary, summarize } from './statistics.ts';
import {
  hasMoreRealImages,
  STUDY_MEASURES,
  type StudyDifference,
  type StudyMeasure,
  type StudyResults,
  type StudyRow,
} from './study-results.ts';

/** The difference of a row from the reference in `measure`; undefined for the reference itself. */
export function differenceIn(row: StudyRow, measure: StudyMeasure): StudyDifference | undefined {
  return row.differences.find((one) => one.measure === measure);
}

/** Measures whose paired tests are shown. */
export const TESTED_MEASURES = ['balancedAccuracy', 'tailRecall', 'worstRecall', 'nll'] as const;

/** '+2.0 [−0.5, +4.5] p 0.250/0.500': mean, interval, p of sign flips and after Holm; without pairs, only the mean. */
export function testedDifference(row: StudyRow, measure: StudyMeasure): string {
  const one = differenceIn(row, measure);
  if (one === undefined) return NO_VALUE;
  const { mean, interval, differences, p, holmP } = one;
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${decimal(Math.abs(value))}`;
  const show = (value: number) => (STUDY_MEASURES[measure].isRate ? points(value) : signed(value));
  const range = interval === null ? '' : ` [${show(interval.low)}, ${show(interval.high)}]`;
  const chance = p === null || differences.length < 2 ? '' : ` p ${decimal(p)}`;
  return `${show(mean)}${range}${chance}${chance !== '' && holmP !== null ? `/${decimal(holmP)}` : ''}`;
}

/** Class fidelity of the last judged epoch, over the row's runs. */
export function lastFidelity({ runs }: StudyRow): Summary {
  return summarize(
    runs.map(({ curve }) => curve.findLast(({ fidelity }) => fidelity !== null)?.fidelity ?? null),
  );
}

/** Mean of a number of each finished run; NaN without any. */
export function meanOf({ runs }: StudyRow, value: 'optimizerSteps' | 'syntheticImages'): number {
  return summarize(runs.map((run) => (run.status === 'finished' ? run[value] : null))).mean;
}

/** Whether the row's mean is the best of `rows` in `measure`, where larger is better. */
export function isBest(rows: readonly StudyRow[], row: StudyRow, measure: StudyMeasure): boolean {
  const means = rows.map(({ means }) => means[measure].mean).filter(Number.isFinite);
  return means.length > 0 && row.means[measure].mean === Math.max(...means);
}

/** The most finished runs that a row has. */
export function seedsOf({ rows }: StudyResults): number {
  return Math.max(0, ...rows.map(({ runs }) => runs.filter(({ status }) => status === 'finished').length));
}

/** '79.1%' of one run, '79.1 ± 0.4%' of several (sample standard deviation). */
export function rateWithSpread({ mean, deviation }: Summary): string {
  return deviation === null ? percent(mean) : `${(mean * 100).toFixed(1)} ± ${(deviation * 100).toFixed(1)}%`;
}

/** '+4.5', or '+4.5 [+2.1, +6.9]' with an interval; percentage points. */
export function pointsWithInterval(mean: number, interval: Interval | null): string {
  return interval === null
    ? points(mean)
    : `${points(mean)} [${points(interval.low)}, ${points(interval.high)}]`;
}

function verdict(difference: StudyDifference | undefined, reference: string): string {
  if (difference === undefined) return '';
  const { mean, interval, differences } = difference;
  const size = `${points(mean)} points against ${reference}`;
  if (interval === null) return `, ${size} (one seed: the spread is unknown)`;
  const clear = interval.low > 0 || interval.high < 0 ? 'clear of zero' : 'zero is inside the interval';
  const range = `95% interval ${points(interval.low)} to ${points(interval.high)}`;
  return `, ${size} (${range} over ${plural(differences.length, 'paired seed')}: ${clear})`;
}

/** The result in one sentence; rows with unavailable real images do not compete. */
export function studySentence(results: StudyResults): string {
  const { rows, reference } = results;
  const competing = rows.filter(({ name }) => !hasMoreRealImages(results, name));
  const winner = competing.find((row) => isBest(competing, row, 'balancedAccuracy'));
  if (winner === undefined) return 'Nothing was evaluated.';
  const against = verdict(differenceIn(winner, 'balancedAccuracy'), reference);
  return `Of ${plural(competing.length, 'row')}, ${winner.name} has the highest balanced accuracy: ${rateWithSpread(winner.means.balancedAccuracy)}${against}.`;
}
