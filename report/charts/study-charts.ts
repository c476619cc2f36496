/** Charts of a study's rows against each other, means over seeds. */
import { meanByPosition, meanInterval } from '../statistics.ts';
import type { StudyEpoch, StudyResults, StudyRow } from '../study-results.ts';
import { barChart } from './bar-chart.ts';
import type { Chart } from './chart.ts';
import { dotPlot } from './dot-plot.ts';
import { lineChart } from './line-chart.ts';
import type { ChartTheme } from './theme.ts';

/** Each run's score, the mean, and its 95% interval, of balanced accuracy or tail recall. */
export function scoreDots(
  rows: readonly StudyRow[],
  measure: 'balancedAccuracy' | 'tailRecall',
  theme: ChartTheme,
): Chart {
  const label = measure === 'balancedAccuracy' ? 'balanced accuracy' : 'tail recall';
  const dots = rows.map(({ name, runs, means }) => ({
    name,
    values: runs.map((run) => run.measures[measure]).filter((value) => value !== null),
    mean: Number.isFinite(means[measure].mean) ? means[measure].mean : NaN, // null in a file
    interval: meanInterval(means[measure]),
  }));
  const title = `${label[0]!.toUpperCase()}${label.slice(1)} by row`;
  return dotPlot({ title, xLabel: label, kind: 'rate', rows: dots }, theme);
}

export function recallBars({ classes, rows }: StudyResults, theme: ChartTheme): Chart {
  return barChart(
    {
      ...{ title: 'Recall of each class by row', xLabel: 'share of the class’s images', kind: 'rate' },
      categories: classes.map((name) => ({ name })),
      series: rows.map(({ name, runs }) => ({
        name,
        values: meanByPosition(runs.map((run) => run.perClassRecall)),
      })),
    },
    theme,
  );
}

interface Curve {
  readonly title: string;
  readonly yLabel: string;
  readonly kind: 'rate' | 'number';
  readonly value: (point: StudyEpoch) => number | null;
}

const CURVES: readonly Curve[] = [
  {
    ...{ title: 'Balanced accuracy over epochs', yLabel: 'on validation', kind: 'rate' },
    value: ({ balancedAccuracy }) => balancedAccuracy,
  },
  {
    ...{ title: 'Training loss', yLabel: 'mean over the epoch’s images', kind: 'number' },
    value: ({ trainLoss }) => trainLoss,
  },
  {
    ...{ title: 'Class fidelity', yLabel: 'given the intended class by the judge', kind: 'rate' },
    value: ({ fidelity }) => fidelity,
  },
];

/** Curves over epochs, a line a row; those that no row has are left out. */
export function rowCurves(rows: readonly StudyRow[], theme: ChartTheme): Chart[] {
  return CURVES.flatMap(({ title, yLabel, kind, value }) => {
    const series = rows
      .map(({ name, runs }, colour) => ({
        ...{ name, colour },
        values: meanByPosition(runs.map(({ curve }) => curve.map(value))),
      }))
      .filter(({ values }) => values.some((entry) => entry !== null));
    if (series.length === 0) return [];
    const length = series.reduce((most, { values }) => Math.max(most, values.length), 0);
    const x = Array.from({ length }, (_, index) => index + 1);
    const domain = kind === 'rate' ? 'fit' : 'zero';
    return [lineChart({ title, yLabel, kind, x, xLabel: 'epoch', series, domain }, theme)];
  });
}
