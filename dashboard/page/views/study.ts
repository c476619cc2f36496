/** Rows of a study or a comparison against each other, or runs that were chosen in the list. */
import { recallBars, rowCurves, scoreDots } from '../../../report/charts/study-charts.ts';
import { count, decimal, duration, NO_VALUE, percent } from '../../../report/format.ts';
import { worthText } from '../../../report/worth.ts';
import { meanByPosition } from '../../../report/statistics.ts';
import {
  meanSeconds,
  STUDY_MEASURES,
  type StudyMeasure,
  type StudyResults,
  type StudyRow,
  type StudyRunResult,
} from '../../../report/study-results.ts';
import {
  differenceIn,
  isBest,
  lastFidelity,
  meanOf,
  pointsWithInterval,
  rateWithSpread,
  seedsOf,
  studySentence,
  TESTED_MEASURES,
  testedDifference,
} from '../../../report/study-summary.ts';
import type { RowPictures } from '../../model/studies.ts';
import { chartBox } from '../chart-box.ts';
import { type Cell, h, section, table } from '../dom.ts';
import { dataSentence } from './overview.ts';

const MOST_CLASSES = 60;

/** `hrefOf` leads to a run's own page. */
export function studyPage(
  results: StudyResults,
  hrefOf: (run: string) => string,
  pictures: readonly RowPictures[] = [],
): HTMLElement {
  const { rows } = results;
  return h(
    'div',
    { class: 'run' },
    studyHead(results),
    rowSection(results),
    ...(hasSeveralSeeds(results) ? [testSection(results)] : []),
    ...pictures.map(pictureSection),
    classSection(results),
    curveSection(results),
    section(
      'runs',
      'Runs',
      'Each run has its own page, with its images, classes and mistakes.',
      h('ul', { class: 'links' }, ...rows.flatMap(({ runs }) => runs.map((run) => runLink(run, hrefOf)))),
    ),
  );
}

const hasSeveralSeeds = (results: StudyResults) => seedsOf(results) > 1;

function studyHead(results: StudyResults): HTMLElement {
  return h(
    'header',
    { class: 'run-head' },
    h('h1', {}, results.title),
    h('p', { class: 'lead' }, studySentence(results)),
    h('p', { class: 'note' }, dataSentence(results.classes, results.classCounts)),
    ...results.warnings.map((text) => h('p', { class: 'note' }, text)),
  );
}

function rowSection(results: StudyResults): HTMLElement {
  const { rows } = results;
  const evaluated = rows.some(({ means }) => Number.isFinite(means.balancedAccuracy.mean));
  const dots = (['balancedAccuracy', 'tailRecall'] as const).map((measure) =>
    chartBox((theme) => (evaluated ? scoreDots(rows, measure, theme) : null)),
  );
  return section(
    'rows',
    'Rows',
    hasSeveralSeeds(results)
      ? 'Mean ± sample standard deviation over seeds; differences are paired by seed, with 95% intervals (Student’s t). Best in bold.'
      : 'One seed: the spread between seeds is unknown, and differences of a few points may be chance. Best in bold.',
    scoreTable(results),
    h('div', { class: 'figures wide' }, ...dots.map((box) => box.element)),
  );
}

function classSection(results: StudyResults): HTMLElement {
  const hasBars = results.classes.length <= MOST_CLASSES && results.classes.length > 0;
  const bars = chartBox((theme) => (hasBars ? recallBars(results, theme) : null));
  return section(
    'classes',
    'Per class',
    hasSeveralSeeds(results) ? 'Means over seeds.' : '',
    h('div', { class: 'columns' }, bars.element, recallTable(results)),
  );
}

function curveSection({ rows }: StudyResults): HTMLElement {
  const curves = [0, 1, 2].map((index) => chartBox((theme) => rowCurves(rows, theme)[index] ?? null));
  const figures = h('div', { class: 'figures wide' }, ...curves.map((box) => box.element));
  return section('curves', 'Learning curves', '', figures);
}

type Column = readonly [head: string, cell: (row: StudyRow) => Cell];

function scoreTable(results: StudyResults): HTMLElement {
  const columns = columnsOf(results);
  return table(
    'Rows',
    columns.map(([head]) => head),
    results.rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
}

function columnsOf({ rows, reference, ceiling, worth }: StudyResults): Column[] {
  const rate = (measure: StudyMeasure): Column => [
    STUDY_MEASURES[measure].title,
    (row) => number(rateWithSpread(row.means[measure]), isBest(rows, row, measure)),
  ];
  const plain = (measure: StudyMeasure): Column => [
    STUDY_MEASURES[measure].title,
    (row) => number(decimal(row.means[measure].mean)),
  ];
  const headroom: Column = ['of headroom', ({ recovered }) => number(percent(recovered, 0))];
  return [
    ['row', ({ name }) => ({ text: name })],
    ['seeds', ({ runs }) => number(count(runs.filter(({ status }) => status === 'finished').length))],
    rate('balancedAccuracy'),
    ...(rows.length > 1 ? [differenceFrom(reference)] : []),
    ...(ceiling === null ? [] : [headroom]),
    ...(worth === null ? [] : [WORTH]),
    ...(['tailRecall', 'worstRecall', 'accuracy'] as const).map(rate),
    ...(['macroF1', 'mcc', 'nll', 'ece'] as const).map(plain),
    ['fidelity', (row) => number(percent(lastFidelity(row).mean))],
    ['synthetic images', (row) => number(count(meanOf(row, 'syntheticImages')))],
    ['steps', (row) => number(count(meanOf(row, 'optimizerSteps')))],
    ['time', ({ runs }) => number(duration(meanSeconds(runs)))],
    ['time per point gained', ({ secondsPerPoint }) => number(duration(secondsPerPoint))],
  ];
}

function number(text: string, isBest = false): Cell {
  return { text, isBest, isNumber: true };
}

const WORTH: Column = [
  'worth, real images a tail class',
  (row) => number(row.worth === null ? NO_VALUE : worthText(row.worth)),
];

function differenceFrom(reference: string): Column {
  return [
    `against ${reference}, points`,
    (row) => {
      const one = differenceIn(row, 'balancedAccuracy');
      return number(one ? pointsWithInterval(one.mean, one.interval) : '–');
    },
  ];
}

function testSection({ rows, reference }: StudyResults): HTMLElement {
  const cells = rows
    .filter(({ name }) => name !== reference)
    .map((row): Cell[] => [
      { text: row.name },
      ...TESTED_MEASURES.map((measure) => ({ text: testedDifference(row, measure), isNumber: true })),
    ]);
  return section(
    'tests',
    `Against ${reference}`,
    'Paired by seed: mean, 95% interval, p of the exact sign-flip test / after Holm’s correction over rows and both primary measures.',
    table('Paired tests', ['row', ...TESTED_MEASURES.map((measure) => STUDY_MEASURES[measure].title)], cells),
  );
}

function pictureSection({ row, pictures }: RowPictures, index: number): HTMLElement {
  const figures = pictures.map(({ caption, source }) =>
    h('figure', {}, h('img', { src: source, alt: `${row}: ${caption}` }), h('figcaption', {}, caption)),
  );
  return section(
    `images-${index}`,
    `Images of ${row}`,
    'One row per class.',
    h('div', { class: 'figures' }, ...figures),
  );
}

function runLink(
  { row, seed, dir, status, reason }: StudyRunResult,
  hrefOf: (run: string) => string,
): HTMLElement {
  const text = `${row}, seed ${seed}`;
  const isThere = status === 'finished' && dir !== '';
  return h(
    'li',
    {},
    isThere ? h('a', { href: hrefOf(dir) }, text) : `${text}: ${status}${reason === '' ? '' : `, ${reason}`}`,
  );
}

function recallTable({ classes, classCounts, rows }: StudyResults): HTMLElement {
  const means = rows.map(({ runs }) => meanByPosition(runs.map((run) => run.perClassRecall)));
  const lines = classes.map((name, index): Cell[] => [
    { text: name },
    { text: count(classCounts[index]), isNumber: true },
    ...means.map((values) => ({ text: percent(values[index]), isNumber: true })),
  ]);
  const element = table(
    'Recall of each class',
    ['recall', 'real images', ...rows.map(({ name }) => name)],
    lines,
  );
  element.classList.add('tall');
  return element;
}
