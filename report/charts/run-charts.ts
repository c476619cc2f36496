/** The charts of one run over its epochs, from columns of numbers. */
import type { Chart } from './chart.ts';
import { type LineChart, lineChart } from './line-chart.ts';
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
  const hasQuality = [curves.balancedAccuracy, curves.accuracy, curves.fewShotRecall].some(hasAny);
  const charts = [
    lossOf(curves),
    ...(hasQuality ? [qualityOf(curves)] : []),
    ...(hasAny(curves.fidelity) ? [fidelityOf(curves)] : []),
  ];
  return charts.map((chart) => lineChart({ x: curves.epoch, xLabel: 'epoch', ...chart }, theme));
}

type Curves = Omit<LineChart, 'x' | 'xLabel'>;

function lossOf({ trainLoss }: RunCurves): Curves {
  return {
    title: 'Training loss',
    yLabel: 'cross-entropy, nats',
    kind: 'number',
    domain: 'zero',
    series: [{ name: 'loss', values: trainLoss }],
  };
}

/** Where validation has as many images of every class, accuracy is balanced accuracy: one line then says that it is both. */
function qualityOf({ balancedAccuracy, accuracy, fewShotRecall }: RunCurves): Curves {
  const isSame = hasAny(accuracy) && accuracy.every((value, at) => value === balancedAccuracy[at]);
  return {
    title: 'Quality on validation',
    yLabel: 'share of images',
    kind: 'rate',
    series: [
      { name: isSame ? 'balanced accuracy = accuracy' : 'balanced accuracy', values: balancedAccuracy },
      { name: 'accuracy', values: isSame ? [] : accuracy },
      { name: 'few-shot recall', values: fewShotRecall },
    ].filter(({ values }, index) => index === 0 || hasAny(values)),
  };
}

function fidelityOf({ fidelity, fidelityTail }: RunCurves): Curves {
  return {
    title: 'Class fidelity of synthetic images',
    yLabel: 'given the intended class by the judge',
    kind: 'rate',
    series: [
      { name: 'all classes', values: fidelity },
      { name: 'tail', values: fidelityTail },
    ].filter(({ values }) => hasAny(values)),
  };
}
