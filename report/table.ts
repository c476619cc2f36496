/** The comparison as a text table: what `ballast compare` and the demo end with. */

import { plainText } from '../common/plain-text.ts';
import {
  bestMean,
  type ComparisonSummary,
  differenceWithInterval,
  type Measure,
  type MethodSummary,
  rateWithSpread,
  summarizeComparison,
} from './comparison-summary.ts';
import { count, decimal, duration, percent, plural } from './format.ts';
import type { ComparisonReport } from './records.ts';
import { displayWidth, fitColumns, padColumns } from './terminal/text.ts';

export interface TableOptions {
  /** Columns to fill at most; less important columns are left out until the table fits. Default 100. */
  readonly maxWidth?: number;
}

interface Column {
  readonly head: string;
  /** 0 stays; larger ones go first when there is no room. */
  readonly dispensable: number;
  readonly cells: readonly string[];
}

const GAP = '  ';

function measureColumn(
  summary: ComparisonSummary,
  head: string,
  measure: Measure,
  dispensable: number,
  show: (method: MethodSummary) => string,
): Column {
  const best = bestMean(summary.methods, measure);
  const cells = summary.methods.map(
    (method) => show(method) + (method.measures[measure].mean === best ? '*' : ' '),
  );
  return { head: `${head} `, dispensable, cells };
}

function columnsOf(summary: ComparisonSummary): Column[] {
  const { methods, reference } = summary;
  const plain = (head: string, dispensable: number, show: (method: MethodSummary) => string): Column => ({
    head,
    dispensable,
    cells: methods.map(show),
  });
  const columns = [
    plain('method', 0, ({ group }) => plainText(group.method)),
    measureColumn(summary, 'balanced acc.', 'balancedAccuracy', 0, ({ measures }) =>
      rateWithSpread(measures.balancedAccuracy),
    ),
    measureColumn(summary, 'worst class', 'worstRecall', 3, ({ measures }) =>
      rateWithSpread(measures.worstRecall),
    ),
    measureColumn(summary, 'accuracy', 'accuracy', 1, ({ measures }) => rateWithSpread(measures.accuracy)),
    measureColumn(summary, 'macro F1', 'macroF1', 2, ({ measures }) => decimal(measures.macroF1.mean)),
    measureColumn(summary, 'MCC', 'mcc', 6, ({ measures }) => decimal(measures.mcc.mean)),
    plain('fidelity', 4, ({ fidelity }) => percent(fidelity.mean)),
    plain('synthetic', 5, ({ syntheticImages }) => count(syntheticImages)),
    plain('steps', 7, ({ optimizerSteps }) => count(optimizerSteps)),
    plain('time', 8, ({ seconds }) => duration(seconds.mean)),
  ];
  if (reference !== null)
    columns.splice(
      2,
      0,
      plain(`vs ${plainText(reference)}`, 0, ({ difference }) => differenceWithInterval(difference)),
    );
  return columns;
}

function columnWidth({ head, cells }: Column): number {
  return Math.max(displayWidth(head), ...cells.map(displayWidth));
}

function tableWidth(columns: readonly Column[]): number {
  return columns.reduce((sum, column) => sum + columnWidth(column), GAP.length * (columns.length - 1));
}

/** Leaves out the most dispensable columns until the rest fits. */
function fitting(columns: readonly Column[], maxWidth: number): readonly Column[] {
  if (tableWidth(columns) <= maxWidth) return columns;
  const most = Math.max(...columns.map((column) => column.dispensable));
  return most === 0
    ? columns
    : fitting(
        columns.filter((column) => column.dispensable !== most),
        maxWidth,
      );
}

function footnotes({ reference, seeds }: ComparisonSummary): string[] {
  const spread =
    seeds > 1
      ? `± sample standard deviation over ${plural(seeds, 'seed')}`
      : 'one seed: the spread between seeds is unknown';
  const paired = seeds > 1 ? 'paired by seed, with 95% interval' : 'same seed';
  return [
    `* best; ${spread}.`,
    ...(reference === null ? [] : [`vs ${plainText(reference)}: points of balanced accuracy, ${paired}.`]),
  ];
}

/** A row per method: mean and spread over seeds, differences from erm (or the first method), best values starred. */
export function comparisonTable(report: ComparisonReport, options: TableOptions = {}): string {
  const maxWidth = Math.max(20, options.maxWidth ?? 100);
  const summary = summarizeComparison(report);
  if (summary.methods.length === 0) return 'No runs to compare.\n';
  const columns = fitting(columnsOf(summary), maxWidth);
  const widths = columns.map(columnWidth);
  const row = (texts: readonly string[]): string => {
    const cells = texts.map((text, index) =>
      padColumns(text, widths[index] ?? 0, index === 0 ? 'right' : 'left'),
    );
    return fitColumns(cells.join(GAP).trimEnd(), maxWidth);
  };
  const lines = [
    row(columns.map(({ head }) => head)),
    '─'.repeat(Math.min(maxWidth, tableWidth(columns))),
    ...summary.methods.map((_, index) => row(columns.map(({ cells }) => cells[index] ?? ''))),
    ...footnotes(summary),
  ];
  return `${lines.join('\n')}\n`;
}
