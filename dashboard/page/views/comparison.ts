/** Methods against each other: a comparison's report, or runs that were chosen in the list. */
import { balancedDots, methodCurves, recallBars } from '../../../report/charts/comparison-charts.ts';
import {
  bestMean,
  comparisonSentence,
  differenceWithInterval,
  type Measure,
  type MethodSummary,
  rateWithSpread,
  summarizeComparison,
} from '../../../report/comparison-summary.ts';
import { count, decimal, duration, percent } from '../../../report/format.ts';
import type { ComparisonReport } from '../../../report/records.ts';
import { meanByPosition } from '../../../report/statistics.ts';
import { chartBox } from '../chart-box.ts';
import { type Cell, h, section, table } from '../dom.ts';
import { dataSentence } from './overview.ts';

const MOST_CLASSES = 60;

/** `hrefOf` leads to a run's own page. */
export function comparisonPage(report: ComparisonReport, hrefOf: (run: string) => string): HTMLElement {
  const summary = summarizeComparison(report);
  const best = (method: MethodSummary, measure: Measure) =>
    method.measures[measure].mean === bestMean(summary.methods, measure);
  const number = (text: string, isBest = false): Cell => ({ text, isBest, isNumber: true });
  const { reference } = summary;
  const head = [
    'method',
    'seeds',
    'balanced accuracy',
    ...(reference === null ? [] : [`against ${reference}, points`]),
    'worst class',
    'accuracy',
    'macro F1',
    'MCC',
    'fidelity',
    'synthetic images',
    'steps',
    'time',
  ];
  const rows = summary.methods.map((method): Cell[] => [
    { text: method.group.method },
    number(count(method.group.runs.length)),
    number(rateWithSpread(method.measures.balancedAccuracy), best(method, 'balancedAccuracy')),
    ...(reference === null ? [] : [number(differenceWithInterval(method.difference))]),
    number(rateWithSpread(method.measures.worstRecall), best(method, 'worstRecall')),
    number(rateWithSpread(method.measures.accuracy), best(method, 'accuracy')),
    number(decimal(method.measures.macroF1.mean), best(method, 'macroF1')),
    number(decimal(method.measures.mcc.mean), best(method, 'mcc')),
    number(percent(method.fidelity.mean)),
    number(count(method.syntheticImages)),
    number(count(method.optimizerSteps)),
    number(duration(method.seconds.mean)),
  ]);
  const spread =
    summary.seeds > 1
      ? 'Mean ± sample standard deviation over seeds; differences are paired by seed, with 95% intervals (Student’s t). Best in bold.'
      : 'One seed: the spread between seeds is unknown, and differences of a few points may be chance. Best in bold.';
  const curves = [0, 1, 2].map((index) => chartBox((theme) => methodCurves(summary, theme)[index] ?? null));
  const hasBars = report.classes.length <= MOST_CLASSES && report.classes.length > 0;
  const bars = chartBox((theme) => (hasBars ? recallBars(report, summary, theme) : null));
  const links = report.methods.map((run) =>
    h('li', {}, h('a', { href: hrefOf(run.run) }, `${run.method}, seed ${run.seed}`)),
  );
  return h(
    'div',
    { class: 'run' },
    h(
      'header',
      { class: 'run-head' },
      h('h1', {}, report.title),
      h('p', { class: 'lead' }, comparisonSentence(summary)),
      h('p', { class: 'note' }, dataSentence(report.classes, report.classCounts)),
    ),
    section(
      'methods',
      'Methods',
      spread,
      table('Methods', head, rows),
      h(
        'div',
        { class: 'figures wide' },
        chartBox((theme) => (rows.length === 0 ? null : balancedDots(summary, theme))).element,
        curves[0]!.element,
      ),
    ),
    section(
      'classes',
      'Per class',
      summary.seeds > 1 ? 'Means over seeds.' : '',
      h('div', { class: 'columns' }, bars.element, recallTable(report)),
    ),
    section(
      'curves',
      'Loss and fidelity',
      '',
      h('div', { class: 'figures' }, curves[1]!.element, curves[2]!.element),
    ),
    section(
      'runs',
      'Runs',
      'Each run has its own page, with its images, classes and mistakes.',
      h('ul', { class: 'links' }, ...links),
    ),
  );
}

function recallTable(report: ComparisonReport): HTMLElement {
  const { methods } = summarizeComparison(report);
  const means = methods.map(({ group }) => meanByPosition(group.runs.map((run) => run.perClassRecall)));
  const rows = report.classes.map((name, index): Cell[] => [
    { text: name },
    { text: count(report.classCounts[index]), isNumber: true },
    ...means.map((values) => ({ text: percent(values[index]), isNumber: true })),
  ]);
  const element = table(
    'Recall of each class',
    ['recall', 'real images', ...methods.map(({ group }) => group.method)],
    rows,
  );
  element.classList.add('tall');
  return element;
}
