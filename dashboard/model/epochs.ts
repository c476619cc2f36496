/** Epoch records, as metrics.jsonl and report.json hold them, turned into what the page shows. */
import { cellsOf } from '../../report/charts/confusion-chart.ts';
import type { EpochRecord, Metrics } from '../../report/records.ts';
import {
  type ClassHistory,
  emptyColumns,
  emptyHistory,
  type EpochColumns,
  type Evaluation,
} from './run-model.ts';

/** Pairs of a confusion matrix that are sent; the rarest go first. */
const MOST_CELLS = 60_000;

/** Four significant digits: what a chart shows, in a third of the bytes. */
export function short(value: number | null | undefined): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? Number(value.toPrecision(4)) : null;
}

const shortAll = (values: readonly (number | null)[]) => values.map(short);

/** Adds one epoch to the columns. */
export function addEpoch(columns: EpochColumns, record: EpochRecord): void {
  const { validation, fidelity } = record;
  columns.epoch.push(record.epoch);
  columns.optimizerSteps.push(record.optimizerSteps ?? null);
  columns.trainLoss.push(short(record.trainLoss));
  columns.balancedAccuracy.push(short(validation?.balancedAccuracy));
  columns.accuracy.push(short(validation?.accuracy));
  columns.fewShotRecall.push(short(validation?.fewShotRecall));
  columns.fidelity.push(short(fidelity?.all));
  columns.fidelityTail.push(short(fidelity?.tail));
  columns.syntheticImages.push(record.syntheticImages ?? null);
  columns.synthesisSeconds.push(short(record.synthesisSeconds));
  columns.trainSeconds.push(short(record.trainSeconds));
  columns.evaluateSeconds.push(short(record.evaluateSeconds));
  columns.shardsRedone.push(record.shardsRedone ?? null);
}

export function addToHistory(history: ClassHistory, record: EpochRecord): void {
  history.epoch.push(record.epoch);
  history.recall.push(record.validation ? shortAll(record.validation.perClassRecall) : null);
  history.quota.push(record.quota ? [...record.quota] : null);
  history.accuracy.push(record.samplingAccuracy ? shortAll(record.samplingAccuracy) : null);
}

export function columnsOf(records: readonly EpochRecord[]): EpochColumns {
  const columns = emptyColumns();
  for (const record of records) addEpoch(columns, record);
  return columns;
}

export function historyOf(records: readonly EpochRecord[]): ClassHistory {
  const history = emptyHistory();
  for (const record of records) addToHistory(history, record);
  return history;
}

/** Every number of the metrics goes along by its name, so that a new one needs no change here. */
export function evaluationOf(split: string, metrics: Metrics): Evaluation {
  const scalars = Object.entries(metrics).filter(([, value]) => value === null || typeof value === 'number');
  const all = cellsOf(metrics);
  const cells = all.length <= MOST_CELLS ? all : [...all].sort((a, b) => b[2] - a[2]).slice(0, MOST_CELLS);
  return {
    split,
    scalars: Object.fromEntries(scalars.map(([name, value]) => [name, short(value as number | null)])),
    perClassRecall: shortAll(metrics.perClassRecall),
    cells,
    leftOut: all.length - cells.length,
  };
}
