/** The charts of one run over its epochs, from columns of numbers. */
import type { Chart } from './chart.ts';
import { lineChart } from './line-chart.ts';
import type { ChartTheme } from './theme.ts';

type Column = readonly (number | null)[];

/** One entry an epoch in each column. */
export interface RunCurves {
  readonly epoch: readonly number[];
  readonly trainLoss: Column;
  readonly balancedAccuracy: Column;
  readonly accuracy: Column;
  readonly fewShotRecall: Column;
  readonly fidelity: Column;
  readonly fidelityTail: Column;
}

const hasAny = (column: Column) => column.some((value) => value !== null);

/** Loss, quality on validation and, where it was judged, class fidelity. */
export function runCharts(curves: RunCurves, theme: ChartTheme): Chart[] {
  const shared = { x: curves.epoch, xLabel: 'epoch' };
  const quality = [
    { name: 'balanced accuracy', values: curves.balancedAccuracy },
    { name: 'accuracy', values: curves.accuracy },
    { name: 'few-shot recall', values: curves.fewShotRecall },
  ].filter(({ values }, index) => index === 0 || hasAny(values));
  const charts = [
    lineChart(
      {
        ...shared,
        ...{ title: 'Training loss', yLabel: 'cross-entropy, nats', kind: 'number', domain: 'zero' },
        series: [{ name: 'loss', values: curves.trainLoss }],
      },
      theme,
    ),
  ];
  if (quality.some(({ values }) => hasAny(values)))
    charts.push(
      lineChart(
        {
          ...shared,
          title: 'Quality on validation',
          yLabel: 'share of images',
          kind: 'rate',
          series: quality,
        },
        theme,
      ),
    );
  if (hasAny(curves.fidelity))
    charts.push(
      lineChart(
        {
          ...shared,
          ...{
            title: 'Class fidelity of synthetic images',
            yLabel: 'given the intended class by the judge',
            kind: 'rate',
          },
          series: [
            { name: 'all classes', values: curves.fidelity },
            { name: 'tail', values: curves.fidelityTail },
          ].filter(({ values }) => hasAny(values)),
        },
        theme,
      ),
    );
  return charts;
}
