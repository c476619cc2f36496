/** A study or comparison as text: what `ballast study`, `ballast compare` and the demo end with. */
import { plainText } from '../common/plain-text.ts';
import { count, decimal, duration, NO_VALUE, percent, plural } from './format.ts';
import type { Summary } from './statistics.ts';
import {
  meanSeconds,
  STUDY_MEASURES,
  type StudyMeasure,
  type StudyResults,
  type StudyRow,
} from './study-results.ts';
import {
  differenceIn,
  isBest,
  lastFidelity,
  meanOf,
  pointsWithInterval,
  rateWithSpread,
  seedsOf,
  TESTED_MEASURES,
  testedDifference,
} from './study-summary.ts';
import { worthText } from './worth.ts';
import { displayWidth, fitColumns, padColumns } from './terminal/text.ts';

export interface TableOptions {
  /** Columns to fill at most; less important ones are left out until the table fits. Default 100. */
  readonly maxWidth?: number;
}

interface Column {
  readonly head: string;
  /** 0 stays; columns with larger numbers are dropped first when there is no room. */
  readonly dispensable: number;
  readonly cells: readonly string[];
}

const GAP = '  ';
const WORTH = 'worth, images';
const WORTH_NOTE = 'worth: real images more of each tail class that would bring the same balanced accuracy.';

/**
 * A line a row: means and spreads over seeds, the difference from the reference, best values starred. With several
 * seeds also the paired tests and each seed's balanced accuracy; then the study's warnings.
 */
export function studyTable(results: StudyResults, { maxWidth = 100 }: TableOptions = {}): string {
  const { rows, reference, warnings } = results;
  if (rows.length === 0) return 'No runs to compare.\n';
  const width = Math.max(20, maxWidth);
  const others = rows.filter(({ name }) => name !== reference);
  const several = seedsOf(results) > 1;
  const main = fitting(mainColumns(results), width);
  const parts = [
    [...grid(main, width), ...footnotes(results, main).map((text) => fitColumns(text, width))],
    several && others.length > 0
      ? [
          `Against ${plainText(reference)}, paired: mean, 95% interval, p of sign flips / after Holm`,
          ...grid(testColumns(others), width),
        ]
      : [],
    several ? ['Balanced accuracy by seed', ...grid(seedColumns(results), width)] : [],
    warnings.map((text) => `! ${plainText(text)}`),
  ];
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function mainColumns({ rows, reference, ceiling, worth: realImages }: StudyResults): Column[] {
  const plain = (head: string, dispensable: number, show: (row: StudyRow) => string): Column => ({
    ...{ head, dispensable },
    cells: rows.map(show),
  });
  const measure = (name: StudyMeasure, dispensable: number, show: (summary: Summary) => string): Column => ({
    ...{ head: `${STUDY_MEASURES[name].title} `, dispensable },
    cells: rows.map((row) => `${show(row.means[name])}${isBest(rows, row, name) ? '*' : ' '}`),
  });
  const number = ({ mean }: Summary) => decimal(mean);
  const against = plain(`vs ${plainText(reference)}`, 0, (row) => {
    const one = differenceIn(row, 'balancedAccuracy');
    return one ? pointsWithInterval(one.mean, one.interval) : NO_VALUE;
  });
  const recovered = plain('of headroom', 1, (row) => percent(row.recovered, 0));
  const worth = plain(WORTH, 1, (row) => (row.worth === null ? NO_VALUE : worthText(row.worth)));
  const columns = [
    plain('row', 0, ({ name }) => plainText(name)),
    measure('balancedAccuracy', 0, rateWithSpread),
    ...(rows.length > 1 ? [against] : []),
    ...(ceiling === null ? [] : [recovered]),
    ...(realImages === null ? [] : [worth]),
    measure('tailRecall', 2, rateWithSpread),
    measure('worstRecall', 4, rateWithSpread),
    measure('accuracy', 2, rateWithSpread),
    measure('macroF1', 5, number),
    plain('NLL', 3, ({ means }) => decimal(means.nll.mean)),
    plain('ECE', 6, ({ means }) => decimal(means.ece.mean)),
    measure('mcc', 8, number),
    plain('fidelity', 6, (row) => percent(lastFidelity(row).mean)),
    plain('synthetic', 7, (row) => count(meanOf(row, 'syntheticImages'))),
    plain('steps', 9, (row) => count(meanOf(row, 'optimizerSteps'))),
    plain('time', 10, ({ runs }) => duration(meanSeconds(runs))),
    plain('time per point', 11, ({ secondsPerPoint }) => duration(secondsPerPoint)),
  ];
  // A measure that no row has gets no column.
  return columns.filter(({ cells }, at) => at < 3 || cells.some((cell) => cell.trim() !== NO_VALUE));
}

function testColumns(rows: readonly StudyRow[]): Column[] {
  return [
    { head: 'row', dispensable: 0, cells: rows.map(({ name }) => plainText(name)) },
    ...TESTED_MEASURES.map((measure, at): Column => ({
      ...{ head: STUDY_MEASURES[measure].title, dispensable: at },
      cells: rows.map((row) => testedDifference(row, measure)),
    })),
  ];
}

function seedColumns({ rows }: StudyResults): Column[] {
  const runs = rows.flatMap((row) => row.runs);
  const pairs = [...new Set(runs.map(({ pair }) => pair))].sort((a, b) => a - b);
  return [
    { head: 'row', dispensable: 0, cells: rows.map(({ name }) => plainText(name)) },
    ...pairs.map((pair, at): Column => ({
      head: `seed ${runs.find((run) => run.pair === pair)!.seed}`,
      dispensable: at,
      cells: rows.map((row) => {
        const run = row.runs.find((one) => one.pair === pair);
        const hasScore = run === undefined || run.status === 'finished' || run.status === 'missing';
        return hasScore ? percent(run?.measures.balancedAccuracy) : run.status;
      }),
    })),
  ];
}

function footnotes(results: StudyResults, columns: readonly Column[]): string[] {
  const { rows, reference, split } = results;
  const seeds = seedsOf(results);
  const spread =
    seeds > 1
      ? `± sample standard deviation over ${plural(seeds, 'seed')}`
      : 'one seed: the spread between seeds is unknown';
  const paired = seeds > 1 ? 'paired by seed, with 95% interval' : 'same seed';
  return [
    `${split === null ? '' : `On ${split} images. `}* best; ${spread}.`,
    ...(rows.length > 1 ? [`vs ${plainText(reference)}: points of balanced accuracy, ${paired}.`] : []),
    ...(columns.some(({ head }) => head === WORTH) ? [WORTH_NOTE] : []),
  ];
}

/** Head, rule and a line for each row. */
function grid(all: readonly Column[], maxWidth: number): string[] {
  const columns = fitting(all, maxWidth);
  const widths = columns.map(columnWidth);
  const line = (texts: readonly string[]): string => {
    const cells = texts.map((text, c) => padColumns(text, widths[c]!, c === 0 ? 'right' : 'left'));
    return fitColumns(cells.join(GAP).trimEnd(), maxWidth);
  };
  const rows = columns[0]!.cells.map((_, row) => line(columns.map(({ cells }) => cells[row]!)));
  return [
    line(columns.map(({ head }) => head)),
    '─'.repeat(Math.min(maxWidth, tableWidth(columns))),
    ...rows,
  ];
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
  const most = Math.max(...columns.map(({ dispensable }) => dispensable));
  if (most === 0) return columns;
  return fitting(
    columns.filter(({ dispensable }) => dispensable !== most),
    maxWidth,
  );
}
