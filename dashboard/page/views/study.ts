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
  const { title, classes, classCounts, rows, warnings } = results;
  const several = seedsOf(results) > 1;
  const evaluated = rows.some(({ means }) => Number.isFinite(means.balancedAccuracy.mean));
  const curves = [0, 1, 2].map((index) => chartBox((theme) => rowCurves(rows, theme)[index] ?? null));
  const dots = (['balancedAccuracy', 'tailRecall'] as const).map((measure) =>
    chartBox((theme) => (evaluated ? scoreDots(rows, measure, theme) : null)),
  );
  const hasBars = classes.length <= MOST_CLASSES && classes.length > 0;
  const bars = chartBox((theme) => (hasBars ? recallBars(results, theme) : null));
  return h(
    'div',
    { class: 'run' },
    h(
      'header',
      { class: 'run-head' },
      h('h1', {}, title),
      h('p', { class: 'lead' }, studySentence(results)),
      h('p', { class: 'note' }, dataSentence(classes, classCounts)),
      ...warnings.map((text) => h('p', { class: 'note' }, text)),
    ),
    section(
      'rows',
      'Rows',
      several
        ? 'Mean ± sample standard deviation over seeds; differences are paired by seed, with 95% intervals (Student’s t). Best in bold.'
        : 'One seed: the spread between seeds is unknown, and differences of a few points may be chance. Best in bold.',
      scoreTable(results),
      h('div', { class: 'figures wide' }, dots[0]!.element, dots[1]!.element),
    ),
    ...(several ? [testSection(results)] : []),
    ...pictures.map(pictureSection),
    section(
      'classes',
      'Per class',
      several ? 'Means over seeds.' : '',
      h('div', { class: 'columns' }, bars.element, recallTable(results)),
    ),
    section(
      'curves',
      'Learning curves',
      '',
      h('div', { class: 'figures wide' }, ...curves.map((box) => box.element)),
    ),
    section(
      'runs',
      'Runs',
      'Each run has its own page, with its images, classes and mistakes.',
      h('ul', { class: 'links' }, ...rows.flatMap(({ runs }) => runs.map((run) => runLink(run, hrefOf)))),
    ),
  );
}

type Column = readonly [head: string, cell: (row: StudyRow) => Cell];

function scoreTable(results: StudyResults): HTMLElement {
  const { rows, reference, ceiling, worth } = results;
  const number = (text: string, isBest = false): Cell => ({ text, isBest, isNumber: true });
  const rate = (measure: StudyMeasure): Column => [
    STUDY_MEASURES[measure].title,
    (row) => number(rateWithSpread(row.means[measure]), isBest(rows, row, measure)),
  ];
  const plain = (measure: StudyMeasure): Column => [
    STUDY_MEASURES[measure].title,
    (row) => number(decimal(row.means[measure].mean)),
  ];
  const against: Column = [
    `against ${reference}, points`,
    (row) => {
      const one = differenceIn(row, 'balancedAccuracy');
      return number(one ? pointsWithInterval(one.mean, one.interval) : '–');
    },
  ];
  const columns: Column[] = [
    ['row', ({ name }) => ({ text: name })],
    ['seeds', ({ runs }) => number(count(runs.filter(({ status }) => status === 'finished').length))],
    rate('balancedAccuracy'),
    ...(rows.length > 1 ? [against] : []),
    ...(ceiling === null
      ? []
      : [['of headroom', (row) => number(percent(row.recovered, 0))] satisfies Column]),
    ...(worth === null
      ? []
      : [
          [
            'worth, real images a tail class',
            (row) => number(row.worth === null ? NO_VALUE : worthText(row.worth)),
          ] satisfies Column,
        ]),
    ...(['tailRecall', 'worstRecall', 'accuracy'] as const).map(rate),
    ...(['macroF1', 'mcc', 'nll', 'ece'] as const).map(plain),
    ['fidelity', (row) => number(percent(lastFidelity(row).mean))],
    ['synthetic images', (row) => number(count(meanOf(row, 'syntheticImages')))],
    ['steps', (row) => number(count(meanOf(row, 'optimizerSteps')))],
    ['time', ({ runs }) => number(duration(meanSeconds(runs)))],
    ['time per point gained', ({ secondsPerPoint }) => number(duration(secondsPerPoint))],
  ];
  return table(
    'Rows',
    columns.map(([head]) => head),
    rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
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
