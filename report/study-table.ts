/** A study as a text table: a row per method, means over seeds, differences from the reference, and below it each seed. */
import { plainText } from '../common/plain-text.ts';
import { decimal, duration, NO_VALUE, percent, points } from './format.ts';
import {
  type StudyDifference,
  STUDY_MEASURES,
  type StudyMeasure,
  type StudyResults,
  type StudyRow,
} from './study-results.ts';
import { summarize, type Summary } from './statistics.ts';

const SHOWN: readonly StudyMeasure[] = [
  'balancedAccuracy',
  'tailRecall',
  'worstRecall',
  'nll',
  'ece',
  'accuracy',
  'macroF1',
];

type Column = readonly [head: string, cell: (row: StudyRow) => string];

/** The table, its legend and its warnings. */
export function studyTable(results: StudyResults): string {
  const { reference, rows } = results;
  const columns: Column[] = [
    ['row', (row) => plainText(row.name)],
    ...SHOWN.map((measure): Column => [
      STUDY_MEASURES[measure].title,
      (row) => spread(measure, row.means[measure]),
    ]),
    [
      'time',
      (row) =>
        duration(summarize(row.runs.map((run) => (run.status === 'finished' ? run.seconds : null))).mean),
    ],
  ];
  const differences: Column[] = [
    ['row', (row) => plainText(row.name)],
    ...(['balancedAccuracy', 'tailRecall', 'worstRecall', 'nll'] as const).map((measure): Column => [
      STUDY_MEASURES[measure].title,
      (row) => difference(row.differences.find((one) => one.measure === measure)),
    ]),
  ];
  const others = rows.filter(({ name }) => name !== reference);
  return [
    `${plainText(results.title)}: on ${results.split}`,
    '',
    ...grid(columns, rows),
    ...(others.length === 0
      ? []
      : [
          '',
          `Against ${plainText(reference)}, paired (mean, 95% interval, p of sign flips / after Holm):`,
          '',
          ...grid(differences, others),
        ]),
    '',
    'Balanced accuracy by seed:',
    '',
    ...grid(seedColumns(results), rows),
    ...(results.warnings.length === 0 ? [] : ['', ...results.warnings.map((text) => `! ${plainText(text)}`)]),
    '',
  ].join('\n');
}

function seedColumns({ rows }: StudyResults): Column[] {
  const pairs = [...new Set(rows.flatMap(({ runs }) => runs.map(({ pair }) => pair)))].sort((a, b) => a - b);
  const seedOf = (pair: number) => rows[0]?.runs.find((run) => run.pair === pair)?.seed;
  return [
    ['row', (row) => plainText(row.name)],
    ...pairs.map((pair): Column => [
      `seed ${seedOf(pair) ?? '?'}`,
      ({ runs }) => {
        const run = runs.find((one) => one.pair === pair);
        return run?.status === 'failed' ? 'failed' : percent(run?.measures.balancedAccuracy);
      },
    ]),
  ];
}

function spread(measure: StudyMeasure, { mean, deviation }: Summary): string {
  const { isRate } = STUDY_MEASURES[measure];
  const show = (value: number) => (isRate ? (value * 100).toFixed(1) : decimal(value));
  if (!Number.isFinite(mean)) return NO_VALUE;
  return deviation === null ? show(mean) : `${show(mean)} ± ${show(deviation)}`;
}

function difference(one: StudyDifference | undefined): string {
  if (one === undefined) return NO_VALUE;
  const { isRate } = STUDY_MEASURES[one.measure];
  const show = (value: number) =>
    isRate ? points(value) : `${value < 0 ? '−' : '+'}${decimal(Math.abs(value))}`;
  const interval = one.interval === null ? '' : ` [${show(one.interval.low)}, ${show(one.interval.high)}]`;
  const p = one.p === null || one.differences.length < 2 ? '' : ` p ${decimal(one.p)}`;
  return `${show(one.mean)}${interval}${p}${p !== '' && one.holmP !== null ? `/${decimal(one.holmP)}` : ''}`;
}

function grid(columns: readonly Column[], rows: readonly StudyRow[]): string[] {
  const texts = columns.map(([head, cell]) => [head, ...rows.map(cell)]);
  const widths = texts.map((column) => Math.max(...column.map((text) => text.length)));
  const line = (index: number) =>
    texts
      .map((column, c) => (c === 0 ? column[index]!.padEnd(widths[c]!) : column[index]!.padStart(widths[c]!)))
      .join('  ')
      .trimEnd();
  return [line(0), '─'.repeat(line(0).length), ...rows.map((_, index) => line(index + 1))];
}
