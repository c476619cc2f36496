/**
 * The page's model of a run: derived from the run's folder on the server, sent to the browser, and embedded in
 * report.html.
 * A run is sent in updates; the first one is complete. Plain JSON; rates are in [0, 1], times are ISO 8601.
 */
import type { ConfusionCells } from '../../report/charts/confusion-chart.ts';

export type RunState = 'queued' | 'running' | 'stopped' | 'succeeded' | 'cancelled' | 'failed';

/** Quality on one split. */
export interface Evaluation {
  readonly split: string;
  /** Every scalar of the metrics by its name in report.json; null where it was not measured. */
  readonly scalars: Readonly<Record<string, number | null>>;
  readonly perClassRecall: readonly (number | null)[];
  readonly cells: ConfusionCells;
  /** Pairs left out of `cells`, the rarest, so that the page stays small. */
  readonly leftOut: number;
}

/** Facts that seldom change. */
export interface RunFacts {
  /** Path of the folder inside the folder of runs; `.` for that folder itself. */
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly seed: number | null;
  readonly state: RunState;
  /** The reason for this state, for people; empty if there is nothing to add. */
  readonly reason: string;
  readonly classes: readonly string[];
  /** Training images of each class. */
  readonly classCounts: readonly number[];
  /** Epochs that it is to have; null where that is not known yet. */
  readonly plannedEpochs: number | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly seconds: number | null;
  readonly workers: number | null;
  readonly weightsDigest: string | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Doubts about the data, and images that were left out, one line each. */
  readonly doubts: readonly string[];
  /** config.json as text. */
  readonly config: string | null;
  /** Names of files in logs/. */
  readonly logs: readonly string[];
  /** Splits whose predictions the folder holds. */
  readonly predictions: readonly string[];
  readonly hasRealImages: boolean;
  /** Of the finished run. */
  readonly evaluations: readonly Evaluation[];
}

/** Columns over epochs: one entry an epoch in each. */
export interface EpochColumns {
  readonly epoch: number[];
  readonly optimizerSteps: (number | null)[];
  readonly trainLoss: (number | null)[];
  readonly balancedAccuracy: (number | null)[];
  readonly accuracy: (number | null)[];
  readonly fewShotRecall: (number | null)[];
  readonly fidelity: (number | null)[];
  readonly fidelityTail: (number | null)[];
  readonly syntheticImages: (number | null)[];
  readonly synthesisSeconds: (number | null)[];
  readonly trainSeconds: (number | null)[];
  readonly evaluateSeconds: (number | null)[];
  readonly shardsRedone: (number | null)[];
}

export type EpochColumn = Exclude<keyof EpochColumns, 'epoch'>;

export const EPOCH_COLUMNS = [
  'optimizerSteps',
  'trainLoss',
  'balancedAccuracy',
  'accuracy',
  'fewShotRecall',
  'fidelity',
  'fidelityTail',
  'syntheticImages',
  'synthesisSeconds',
  'trainSeconds',
  'evaluateSeconds',
  'shardsRedone',
] as const satisfies readonly EpochColumn[];

/** Vectors over classes at chosen epochs: all of them in short runs, evenly spread ones in long runs. */
export interface ClassHistory {
  readonly epoch: number[];
  /** Recall on validation; null for an epoch that was not evaluated. */
  readonly recall: ((number | null)[] | null)[];
  /** Synthetic images asked for. */
  readonly quota: (number[] | null)[];
  /** Accuracy on training images, which adaptive sampling reads. */
  readonly accuracy: ((number | null)[] | null)[];
}

/** A picture of an epoch's synthetic images. */
export interface GridFrame {
  readonly epoch: number;
  /** Where the PNG is: an address of the server, a data: URI, or null where it is missing. */
  readonly source: string | null;
  readonly index: GridIndex | null;
  /** The nearest training image of each, in the same places. */
  readonly nearest: string | null;
}

/** Where images lie in a grid (report/pictures/png-grid.ts). */
export interface GridIndex {
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  readonly images: readonly GridCell[];
}

export interface GridCell {
  readonly id: number;
  readonly classIndex: number;
  readonly left: number;
  readonly top: number;
  /** Of a synthetic image: its nearest training image, by root mean square difference, in [0, 1]. */
  readonly nearest?: { readonly classIndex: number; readonly image?: string; readonly distance: number };
}

export interface EventLine {
  readonly sequence: number;
  readonly time: string;
  readonly topic: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** One stretch of work on the time line. */
export interface WorkSpan {
  /** Actor that did it. */
  readonly lane: string;
  readonly kind: 'synthesis' | 'training' | 'evaluation' | 'made again';
  readonly fromMs: number;
  readonly toMs: number;
  readonly text: string;
}

/** Where a running epoch is. */
export interface Progress {
  readonly kind: 'synthesis' | 'training' | 'decoding' | 'labelling';
  /** 0 for work that precedes the epochs. */
  readonly epoch: number;
  readonly done: number;
  readonly total: number;
  /** The loss in training, else the rate a second. */
  readonly value: number;
}

export interface RunUpdate {
  /** Whether it replaces everything sent before. */
  readonly isWhole: boolean;
  readonly facts: RunFacts | null;
  readonly epochs: EpochColumns;
  readonly history: ClassHistory;
  /** Epochs that have a picture. */
  readonly grids: readonly number[];
  /** On validation after the last epoch. */
  readonly latest: Evaluation | null;
  /** The newest; earlier ones are in the folder. */
  readonly events: readonly EventLine[];
  readonly spans: readonly WorkSpan[];
  readonly progress: Progress | null;
}

/** A row of the list of runs. */
export interface RunSummary {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly seed: number | null;
  readonly state: RunState;
  readonly reason: string;
  readonly epoch: number;
  readonly plannedEpochs: number | null;
  readonly balancedAccuracy: number | null;
  readonly accuracy: number | null;
  readonly worstRecall: number | null;
  /** Which split the three are of. */
  readonly split: string | null;
  readonly startedAt: string | null;
  readonly seconds: number | null;
}

/** A study or comparison in the folder of runs. */
export interface StudySummary {
  readonly id: string;
  readonly title: string;
}

export interface RunList {
  readonly runs: readonly RunSummary[];
  readonly studies: readonly StudySummary[];
  /** Folders that were not looked into, because there are too many. */
  readonly isCut: boolean;
}

export function emptyColumns(): EpochColumns {
  const columns = Object.fromEntries(EPOCH_COLUMNS.map((name) => [name, []])) as unknown as EpochColumns;
  return { ...columns, epoch: [] };
}

export function emptyHistory(): ClassHistory {
  return { epoch: [], recall: [], quota: [], accuracy: [] };
}

export function appendColumns(to: EpochColumns, more: EpochColumns): void {
  for (const epoch of more.epoch) to.epoch.push(epoch);
  for (const name of EPOCH_COLUMNS) for (const value of more[name]) to[name].push(value);
}

export function appendHistory(to: ClassHistory, more: ClassHistory): void {
  for (let i = 0; i < more.epoch.length; i++) {
    to.epoch.push(more.epoch[i]!);
    to.recall.push(more.recall[i]!);
    to.quota.push(more.quota[i]!);
    to.accuracy.push(more.accuracy[i]!);
  }
}

/** Maximum numbers in a history over classes, for each measure. */
const HISTORY_NUMBERS = 120_000;

/** Epochs that a history keeps. */
export function historyLimit(classes: number): number {
  return Math.min(1000, Math.max(20, Math.floor(HISTORY_NUMBERS / Math.max(1, classes))));
}

/** Every second entry goes, and the last stays, until `limit` is kept. */
export function thinHistory(history: ClassHistory, limit: number): void {
  while (history.epoch.length > limit) {
    const keeps = (_: unknown, i: number, all: readonly unknown[]) => (all.length - 1 - i) % 2 === 0;
    history.epoch.splice(0, Infinity, ...history.epoch.filter(keeps));
    history.recall.splice(0, Infinity, ...history.recall.filter(keeps));
    history.quota.splice(0, Infinity, ...history.quota.filter(keeps));
    history.accuracy.splice(0, Infinity, ...history.accuracy.filter(keeps));
  }
}
