/**
 * A study's results: a line for every run, and for every row its mean and its paired differences from the reference.
 * `ballast study` and `ballast compare` write this record as results.json. Pure.
 */
import { classRecalls } from './class-recall.ts';
import { finalResult } from './final-result.ts';
import { holm, signFlipP } from './paired-tests.ts';
import type { EpochRecord, Metrics, RunReport } from './records.ts';
import { type RealImagesPoint, type Worth, worthInRealImages } from './worth.ts';
import { type Interval, meanInterval, summarize, type Summary } from './statistics.ts';

/** Measures that compare rows, from a run's metrics. Larger is better unless stated. */
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

/** A point of a run's learning curves. */
export interface StudyEpoch {
  readonly epoch: number;
  readonly optimizerSteps: number;
  readonly trainLoss: number;
  /** On validation images; null if there are none. */
  readonly balancedAccuracy: number | null;
  /** Share of synthetic images that the judge gives their intended class; null without a judge or images. */
  readonly fidelity: number | null;
}

/** One run of a study. */
export interface StudyRunResult {
  readonly row: string;
  readonly pair: number;
  readonly seed: number;
  /** Run folder, relative to the study's; empty if there is none. */
  readonly dir: string;
  /** `dropped`: its row was out by the study's stop rule before this run began. */
  readonly status: 'finished' | 'failed' | 'missing' | 'dropped';
  /** Why it failed or was dropped; empty otherwise. */
  readonly reason: string;
  /** Digests of what decided it; `code` is that of the version that did it. */
  readonly content: string;
  readonly code: string;
  readonly measures: Readonly<Record<StudyMeasure, number | null>>;
  readonly perClassRecall: readonly (number | null)[];
  readonly curve: readonly StudyEpoch[];
  readonly optimizerSteps: number;
  /** Of the independent labeller, beside the run's own. */
  readonly labellerSteps: number;
  readonly syntheticImages: number;
  /** Of the whole run, and of making its images. */
  readonly seconds: number;
  readonly synthesisSeconds: number;
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
  /** Sign-flip permutation test; null if there are no pairs, or too many. */
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
  /**
   * Share of the headroom that the row recovers: its mean gain in balanced accuracy over the reference, through the
   * ceiling's; null without a ceiling, for both of these rows, and if the ceiling is not above the reference.
   */
  readonly recovered: number | null;
  /**
   * How many more real images of each tail class would have brought the row's balanced accuracy; null where the study has no
   * rows that tell, and for those rows.
   */
  readonly worth: Worth | null;
  /** More seconds than the reference for each point of balanced accuracy gained; null where nothing is gained. */
  readonly secondsPerPoint: number | null;
}

export interface StudyResults {
  readonly format: 1;
  readonly title: string;
  /** Images on which runs are scored; null: each run on test, otherwise development, otherwise validation. */
  readonly split: 'development' | 'test' | null;
  /** Row that the others are compared with. */
  readonly reference: string;
  /** Row of what perfect images would give; null where the study has none. */
  readonly ceiling: string | null;
  /**
   * Rows that show the value of real images, with their number of additional images per tail class; null if there are
   * none.
   */
  readonly worth: Readonly<Record<string, number>> | null;
  readonly classes: readonly string[];
  readonly classCounts: readonly number[];
  readonly rows: readonly StudyRow[];
  /** Doubts about the table, one line each: runs that failed or are missing, several versions of the code. */
  readonly warnings: readonly string[];
}

/**
 * Whether a row has real images that are not available in practice, so that it competes with no other: the ceiling, or
 * `worth` above 0.
 */
export function hasMoreRealImages(
  { ceiling, worth }: Pick<StudyResults, 'ceiling' | 'worth'>,
  name: string,
): boolean {
  return name === ceiling || (worth?.[name] ?? 0) > 0;
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
    curve: report.epochs.map(curvePoint),
    optimizerSteps: report.optimizerSteps,
    labellerSteps: report.labellerSteps ?? 0,
    syntheticImages: report.syntheticImages,
    seconds: report.seconds,
    synthesisSeconds: report.epochs.reduce((sum, { synthesisSeconds }) => sum + synthesisSeconds, 0),
    weightsDigest: report.weightsDigest,
  };
}

function curvePoint({ epoch, optimizerSteps, trainLoss, validation, fidelity }: EpochRecord): StudyEpoch {
  return {
    ...{ epoch, optimizerSteps, trainLoss },
    balancedAccuracy: validation?.balancedAccuracy ?? null,
    fidelity: fidelity?.all ?? null,
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
    curve: [],
    optimizerSteps: 0,
    labellerSteps: 0,
    syntheticImages: 0,
    seconds: 0,
    synthesisSeconds: 0,
    weightsDigest: '',
  };
}

/**
 * Means and differences of each row. Runs of one `pair` are compared with each other; `reference`, `ceiling` and the keys
 * of `worth` are names of rows.
 */
export function compareRows(
  rows: readonly Pick<StudyRow, 'name' | 'settings' | 'runs'>[],
  reference: string,
  ceiling: string | null = null,
  worth: StudyResults['worth'] = null,
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
  const headroom = gainOf(compared.find(({ name }) => name === ceiling)?.differences ?? []);
  const curve = realImagesCurve(compared, worth ?? {});
  return compared.map((row) => ({
    ...row,
    differences: row.differences.map((one) => ({ ...one, holmP: adjusted.get(one) ?? null })),
    recovered: row.name === ceiling ? null : shareOf(gainOf(row.differences), headroom),
    worth: row.name in (worth ?? {}) ? null : worthOn(curve, row.means.balancedAccuracy),
    secondsPerPoint: costOf(row.runs, base.runs, gainOf(row.differences)),
  }));
}

function gainOf(differences: readonly StudyDifference[]): number | null {
  return differences.find(({ measure }) => measure === 'balancedAccuracy')?.mean ?? null;
}

function shareOf(gain: number | null, headroom: number | null): number | null {
  return gain === null || headroom === null || headroom <= 0 ? null : gain / headroom;
}

/** Balanced accuracy of the rows that show the value of real images, as far as they have been measured. */
function realImagesCurve(
  rows: readonly Pick<StudyRow, 'name' | 'means'>[],
  worth: Readonly<Record<string, number>>,
): RealImagesPoint[] {
  return rows.flatMap(({ name, means: { balancedAccuracy } }) => {
    const images = worth[name];
    const isMeasured = images !== undefined && balancedAccuracy.n > 0;
    return isMeasured ? [{ images, score: balancedAccuracy.mean, weight: balancedAccuracy.n }] : [];
  });
}

function worthOn(curve: readonly RealImagesPoint[], { mean, n }: Summary): Worth | null {
  return curve.length < 2 || n === 0 ? null : worthInRealImages(curve, mean);
}

function costOf(
  runs: readonly StudyRunResult[],
  base: readonly StudyRunResult[],
  gain: number | null,
): number | null {
  if (gain === null || gain <= 0) return null;
  const more = meanSeconds(runs) - meanSeconds(base);
  return Number.isFinite(more) ? more / (gain * 100) : null;
}

/** Of the finished runs; NaN without any. */
export function meanSeconds(runs: readonly StudyRunResult[]): number {
  return summarize(runs.map(({ status, seconds }) => (status === 'finished' ? seconds : null))).mean;
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
