/**
 * A study's results: a line for every run, and for every row its mean and its paired differences from the reference.
 * results.json is this record; results.csv has one line a run. Pure.
 */
import { classRecalls } from './class-recall.ts';
import { finalResult } from './final-result.ts';
import { holm, signFlipP } from './paired-tests.ts';
import type { Metrics, RunReport } from './records.ts';
import { type Interval, meanInterval, summarize, type Summary } from './statistics.ts';

/** What rows are compared by, from a run's metrics. Smaller is better where it says so. */
export const STUDY_MEASURES = {
  balancedAccuracy: { title: 'balanced acc.', isRate: true, smallerIsBetter: false },
  tailRecall: { title: 'tail recall', isRate: true, smallerIsBetter: false },
  worstRecall: { title: 'worst class', isRate: true, smallerIsBetter: false },
  accuracy: { title: 'accuracy', isRate: true, smallerIsBetter: false },
  macroF1: { title: 'macro F1', isRate: false, smallerIsBetter: false },
  mcc: { title: 'MCC', isRate: false, smallerIsBetter: false },
  nll: { title: 'NLL', isRate: false, smallerIsBetter: true },
  ece: { title: 'ECE', isRate: false, smallerIsBetter: true },
  nllScaled: { title: 'NLL at T', isRate: false, smallerIsBetter: true },
  eceScaled: { title: 'ECE at T', isRate: false, smallerIsBetter: true },
} as const satisfies Readonly<Partial<Record<keyof Metrics, MeasureInfo>>>;

export type StudyMeasure = keyof typeof STUDY_MEASURES;

export interface MeasureInfo {
  readonly title: string;
  readonly isRate: boolean;
  readonly smallerIsBetter: boolean;
}

export const MEASURE_NAMES = Object.keys(STUDY_MEASURES) as StudyMeasure[];
/** Tested together, with Holm's correction over all rows. */
export const PRIMARY_MEASURES: readonly StudyMeasure[] = ['balancedAccuracy', 'tailRecall'];

/** One run of a study. */
export interface StudyRunResult {
  readonly row: string;
  readonly pair: number;
  readonly seed: number;
  /** Run folder. */
  readonly dir: string;
  readonly status: 'finished' | 'failed' | 'missing';
  /** Why it failed; empty otherwise. */
  readonly reason: string;
  /** Digests of what decided it; `code` is that of the version that did it. */
  readonly content: string;
  readonly code: string;
  readonly measures: Readonly<Record<StudyMeasure, number | null>>;
  readonly perClassRecall: readonly (number | null)[];
  readonly optimizerSteps: number;
  /** Of the independent labeller, beside the run's own. */
  readonly labellerSteps: number;
  readonly syntheticImages: number;
  readonly seconds: number;
  readonly weightsDigest: string;
}

/** A row against the reference in one measure. */
export interface StudyDifference {
  readonly measure: StudyMeasure;
  /** Row minus reference, pair by pair. */
  readonly differences: readonly number[];
  readonly mean: number;
  /** 95%, Student's t; null for one pair. */
  readonly interval: Interval | null;
  /** Sign-flip permutation test; null where there are none or too many pairs. */
  readonly p: number | null;
  /** Holm's correction over all rows and primary measures; null for the others. */
  readonly holmP: number | null;
}

export interface StudyRow {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly runs: readonly StudyRunResult[];
  readonly means: Readonly<Record<StudyMeasure, Summary>>;
  /** Empty for the reference itself. */
  readonly differences: readonly StudyDifference[];
}

export interface StudyResults {
  readonly format: 1;
  readonly title: string;
  readonly split: 'development' | 'test';
  readonly reference: string;
  readonly classes: readonly string[];
  readonly classCounts: readonly number[];
  readonly rows: readonly StudyRow[];
  /** Doubts about the table, one line each: runs that failed or are missing, several versions of the code. */
  readonly warnings: readonly string[];
}

/** A run's line from its report. */
export function finishedResult(
  place: Pick<StudyRunResult, 'row' | 'pair' | 'seed' | 'dir' | 'content' | 'code'>,
  report: RunReport,
): StudyRunResult {
  const metrics = finalResult(report)?.metrics;
  const measure = (name: StudyMeasure) => metrics?.[name] ?? null;
  return {
    ...place,
    status: 'finished',
    reason: '',
    measures: Object.fromEntries(
      MEASURE_NAMES.map((name) => [name, measure(name)]),
    ) as StudyRunResult['measures'],
    perClassRecall: metrics ? classRecalls(metrics) : [],
    optimizerSteps: report.optimizerSteps,
    labellerSteps: report.labellerSteps ?? 0,
    syntheticImages: report.syntheticImages,
    seconds: report.seconds,
    weightsDigest: report.weightsDigest,
  };
}

/** The line of a run that has no report. */
export function emptyResult(
  place: Pick<StudyRunResult, 'row' | 'pair' | 'seed' | 'dir' | 'content' | 'code' | 'status' | 'reason'>,
): StudyRunResult {
  const measures = Object.fromEntries(MEASURE_NAMES.map((name) => [name, null]));
  return {
    ...place,
    measures: measures as StudyRunResult['measures'],
    perClassRecall: [],
    optimizerSteps: 0,
    labellerSteps: 0,
    syntheticImages: 0,
    seconds: 0,
    weightsDigest: '',
  };
}

/** Means and differences of each row. Runs of one `pair` are compared with each other. */
export function compareRows(
  rows: readonly Pick<StudyRow, 'name' | 'settings' | 'runs'>[],
  reference: string,
): StudyRow[] {
  const base = rows.find(({ name }) => name === reference)!;
  const compared = rows.map((row) => ({
    ...row,
    means: Object.fromEntries(
      MEASURE_NAMES.map((measure) => [measure, summarize(row.runs.map((run) => run.measures[measure]))]),
    ) as StudyRow['means'],
    differences:
      row === base ? [] : MEASURE_NAMES.flatMap((measure) => differenceOf(row.runs, base.runs, measure)),
  }));
  const primary = compared.flatMap(({ differences }) => differences.filter(isPrimary));
  const adjusted = new Map(holm(primary.map(({ p }) => p)).map((p, i) => [primary[i]!, p]));
  return compared.map((row) => ({
    ...row,
    differences: row.differences.map((one) => ({ ...one, holmP: adjusted.get(one) ?? null })),
  }));
}

function isPrimary({ measure }: StudyDifference): boolean {
  return PRIMARY_MEASURES.includes(measure);
}

function differenceOf(
  runs: readonly StudyRunResult[],
  base: readonly StudyRunResult[],
  measure: StudyMeasure,
): StudyDifference[] {
  const differences = runs.flatMap((run) => {
    const own = run.measures[measure];
    const other = base.find(({ pair }) => pair === run.pair)?.measures[measure];
    return own === null || other === null || other === undefined ? [] : [own - other];
  });
  if (differences.length === 0) return [];
  const summary = summarize(differences);
  const interval = meanInterval(summary);
  return [{ measure, differences, mean: summary.mean, interval, p: signFlipP(differences), holmP: null }];
}

/** One line a run, with every measure; RFC 4180. */
export function studyCsv(results: StudyResults): string {
  const head = [
    ...[
      'row',
      'pair',
      'seed',
      'status',
      ...MEASURE_NAMES,
      ...results.classes.map((name) => `recall ${name}`),
    ],
    ...[
      'optimizerSteps',
      'labellerSteps',
      'syntheticImages',
      'seconds',
      'weightsDigest',
      'content',
      'code',
      'dir',
      'reason',
    ],
  ];
  const lines = results.rows.flatMap(({ runs }) =>
    runs.map((run) => [
      ...[run.row, run.pair, run.seed, run.status, ...MEASURE_NAMES.map((name) => run.measures[name])],
      ...results.classes.map((_, c) => run.perClassRecall[c] ?? null),
      ...[
        run.optimizerSteps,
        run.labellerSteps,
        run.syntheticImages,
        run.seconds,
        run.weightsDigest,
        run.content,
        run.code,
      ],
      ...[run.dir, run.reason],
    ]),
  );
  return [head, ...lines].map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('');
}

/** Quoted where it must be; a text that a spreadsheet would run as a formula is made a text. */
function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
