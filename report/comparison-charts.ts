/** Tables and charts of a comparison, from its summary. */

import { groupedBars } from './bar-chart.ts';
import { pageTheme } from './chart-theme.ts';
import {
  bestMean,
  type ComparisonSummary,
  differenceWithInterval,
  type Measure,
  type MethodSummary,
  rateWithSpread,
} from './comparison-summary.ts';
import { dotPlot } from './dot-plot.ts';
import { count, decimal, duration, percent, percentMark } from './format.ts';
import { lineChart } from './line-chart.ts';
import { type Cell, table } from './page.ts';
import type { ComparisonReport, EpochRecord } from './records.ts';
import { meanByPosition, meanInterval, summarize } from './statistics.ts';

export function methodTable(summary: ComparisonSummary): string {
  const best = (measure: Measure): number => bestMean(summary.methods, measure);
  const cell = (
    method: MethodSummary,
    measure: Measure,
    show: (mean: MethodSummary['measures'][Measure]) => string,
  ): Cell => ({
    text: show(method.measures[measure]),
    best: method.measures[measure].mean === best(measure),
  });
  const head = [
    'method',
    'seeds',
    'balanced accuracy',
    ...(summary.reference === null ? [] : [`against ${summary.reference}, points`]),
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
    { text: count(method.group.runs.length) },
    cell(method, 'balancedAccuracy', rateWithSpread),
    ...(summary.reference === null ? [] : [{ text: differenceWithInterval(method.difference) }]),
    cell(method, 'worstRecall', rateWithSpread),
    cell(method, 'accuracy', rateWithSpread),
    cell(method, 'macroF1', ({ mean }) => decimal(mean)),
    cell(method, 'mcc', ({ mean }) => decimal(mean)),
    { text: percent(method.fidelity.mean) },
    { text: count(method.syntheticImages) },
    { text: count(method.optimizerSteps) },
    { text: duration(method.seconds.mean) },
  ]);
  return table(head, rows);
}

export function balancedDots(summary: ComparisonSummary): string {
  return dotPlot(pageTheme, {
    title: 'Balanced accuracy by method',
    xLabel: 'balanced accuracy',
    format: percentMark,
    rows: summary.methods.map(({ group, measures }) => ({
      name: group.method,
      values: group.runs.map((run) => run.balancedAccuracy),
      mean: measures.balancedAccuracy.mean,
      interval: meanInterval(measures.balancedAccuracy),
      note: rateWithSpread(measures.balancedAccuracy),
    })),
  });
}

export function recallBars(report: ComparisonReport, summary: ComparisonSummary): string {
  return groupedBars(pageTheme, {
    title: 'Recall of each class by method',
    xLabel: 'share of the class’s images that are recognised',
    format: (value) => percent(value),
    tickFormat: percentMark,
    categories: report.classes.map((name, index) => ({
      name,
      note: `${count(report.classCounts[index])} real`,
    })),
    series: summary.methods.map(({ group }) => ({
      name: group.method,
      values: meanByPosition(group.runs.map((run) => run.perClassRecall)),
    })),
  });
}

export function recallTable(report: ComparisonReport, summary: ComparisonSummary): string {
  const rows = report.classes.map((name, index) => [
    { text: name },
    { text: count(report.classCounts[index]) },
    ...summary.methods.map(({ group }) => ({
      text: rateWithSpread(summarize(group.runs.map((run) => run.perClassRecall[index] ?? null))).replace(
        '%',
        '',
      ),
    })),
  ]);
  const head = ['recall, %', 'real images', ...summary.methods.map(({ group }) => group.method)];
  return table(head, rows);
}

interface Curve {
  readonly title: string;
  readonly yLabel: string;
  readonly rate: boolean;
  readonly value: (record: EpochRecord) => number | null;
}

const BALANCED: Curve = {
  title: 'Balanced accuracy over epochs',
  yLabel: 'on validation',
  rate: true,
  value: (record) => record.validation?.balancedAccuracy ?? null,
};

const CURVES: readonly Curve[] = [
  {
    title: 'Training loss',
    yLabel: 'mean over the epoch’s images',
    rate: false,
    value: (record) => record.trainLoss,
  },
  {
    title: 'Class fidelity',
    yLabel: 'share given the intended class by the judge',
    rate: true,
    value: (record) => record.fidelity?.all ?? null,
  },
  {
    title: 'Class fidelity of the tail',
    yLabel: 'classes under 200 training images',
    rate: true,
    value: (record) => record.fidelity?.tail ?? null,
  },
];

/** One curve over epochs for every method that has it, mean over seeds; '' when none has. */
function methodCurve(summary: ComparisonSummary, { title, yLabel, rate, value }: Curve, width = 370): string {
  const all = summary.methods.map(({ group }, colour) => ({
    name: group.method,
    colour,
    values: meanByPosition(group.runs.map((run) => run.epochs.map(value))),
  }));
  const series = all.filter(({ values }) => values.some((entry) => entry !== null));
  if (series.length === 0) return '';
  const length = Math.max(...series.map(({ values }) => values.length));
  return lineChart(pageTheme, {
    width,
    title,
    yLabel,
    xLabel: 'epoch',
    x: Array.from({ length }, (_, index) => index + 1),
    series,
    domain: rate ? 'fit' : 'zero',
    format: rate ? (entry) => percent(entry) : (entry) => decimal(entry, 2),
    tickFormat: rate ? percentMark : (entry) => decimal(entry, 2),
  });
}

/** Balanced accuracy on validation over epochs. */
export function balancedCurves(summary: ComparisonSummary): string {
  return methodCurve(summary, BALANCED, 460);
}

/** Loss and fidelity over epochs; curves that no method has are left out. */
export function methodCurves(summary: ComparisonSummary): string[] {
  return CURVES.map((curve) => methodCurve(summary, curve)).filter((curve) => curve !== '');
}
