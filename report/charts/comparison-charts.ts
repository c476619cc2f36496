/** Charts of methods against each other, means over seeds. */
import type { ComparisonSummary } from '../comparison-summary.ts';
import type { ComparisonReport, EpochRecord } from '../records.ts';
import { meanByPosition, meanInterval } from '../statistics.ts';
import { barChart } from './bar-chart.ts';
import type { Chart } from './chart.ts';
import { dotPlot } from './dot-plot.ts';
import { lineChart } from './line-chart.ts';
import type { ChartTheme } from './theme.ts';

export function balancedDots(summary: ComparisonSummary, theme: ChartTheme): Chart {
  const rows = summary.methods.map(({ group, measures }) => ({
    name: group.method,
    values: group.runs.map((run) => run.balancedAccuracy),
    mean: measures.balancedAccuracy.mean,
    interval: meanInterval(measures.balancedAccuracy),
  }));
  return dotPlot(
    { title: 'Balanced accuracy by method', xLabel: 'balanced accuracy', kind: 'rate', rows },
    theme,
  );
}

export function recallBars(report: ComparisonReport, summary: ComparisonSummary, theme: ChartTheme): Chart {
  return barChart(
    {
      ...{ title: 'Recall of each class by method', xLabel: 'share of the class’s images', kind: 'rate' },
      categories: report.classes.map((name) => ({ name })),
      series: summary.methods.map(({ group }) => ({
        name: group.method,
        values: meanByPosition(group.runs.map((run) => run.perClassRecall)),
      })),
    },
    theme,
  );
}

interface Curve {
  readonly title: string;
  readonly yLabel: string;
  readonly kind: 'rate' | 'number';
  readonly value: (record: EpochRecord) => number | null;
}

const CURVES: readonly Curve[] = [
  {
    ...{ title: 'Balanced accuracy over epochs', yLabel: 'on validation', kind: 'rate' },
    value: (record) => record.validation?.balancedAccuracy ?? null,
  },
  {
    ...{ title: 'Training loss', yLabel: 'mean over the epoch’s images', kind: 'number' },
    value: (record) => record.trainLoss,
  },
  {
    ...{ title: 'Class fidelity', yLabel: 'given the intended class by the judge', kind: 'rate' },
    value: (record) => record.fidelity?.all ?? null,
  },
];

/** Curves over epochs, a line a method; those that no method has are left out. */
export function methodCurves(summary: ComparisonSummary, theme: ChartTheme): Chart[] {
  return CURVES.flatMap(({ title, yLabel, kind, value }) => {
    const series = summary.methods
      .map(({ group }, colour) => ({
        ...{ name: group.method, colour },
        values: meanByPosition(group.runs.map((run) => run.epochs.map(value))),
      }))
      .filter(({ values }) => values.some((entry) => entry !== null));
    if (series.length === 0) return [];
    const length = series.reduce((most, { values }) => Math.max(most, values.length), 0);
    const x = Array.from({ length }, (_, index) => index + 1);
    const domain = kind === 'rate' ? 'fit' : 'zero';
    return [lineChart({ title, yLabel, kind, x, xLabel: 'epoch', series, domain }, theme)];
  });
}
