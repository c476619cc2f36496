/** What tables, charts and pages show of a study's rows. */
import { percent, plural, points } from './format.ts';
import { type Interval, type Summary, summarize } from './statistics.ts';
import type { StudyDifference, StudyMeasure, StudyResults, StudyRow } from './study-results.ts';

/** The difference of a row from the reference in `measure`; undefined for the reference itself. */
export function differenceIn(row: StudyRow, measure: StudyMeasure): StudyDifference | undefined {
  return row.differences.find((one) => one.measure === measure);
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

/** The result in one sentence; the ceiling, whose images nobody has, does not compete. */
export function studySentence({ rows, reference, ceiling }: StudyResults): string {
  const competing = rows.filter(({ name }) => name !== ceiling);
  const winner = competing.find((row) => isBest(competing, row, 'balancedAccuracy'));
  if (winner === undefined) return 'Nothing was evaluated.';
  const against = verdict(differenceIn(winner, 'balancedAccuracy'), reference);
  return `Of ${plural(competing.length, 'row')}, ${winner.name} has the highest balanced accuracy: ${rateWithSpread(winner.means.balancedAccuracy)}${against}.`;
}
