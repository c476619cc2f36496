/** Rows of values with their mean and its interval: methods over seeds, differences of a study. */
import type { Interval } from '../statistics.ts';
import {
  baseOption,
  type Chart,
  formatNumber,
  nameAxis,
  type NumberKind,
  textTooltip,
  valueAxis,
} from './chart.ts';
import { type ChartTheme, seriesColour } from './theme.ts';
import { horizontalWhiskers } from './whiskers.ts';

export interface DotRow {
  readonly name: string;
  /** One per seed. */
  readonly values: readonly number[];
  /** NaN if there is none. */
  readonly mean: number;
  readonly interval: Interval | null;
}

export interface DotPlot {
  readonly title: string;
  readonly xLabel: string;
  readonly rows: readonly DotRow[];
  readonly kind: NumberKind;
  /** A vertical rule, as 0 in a plot of differences. */
  readonly reference?: number;
}

const ROW = 30;

export function dotPlot(plot: DotPlot, theme: ChartTheme): Chart {
  const { title, xLabel, rows, kind } = plot;
  const option = {
    ...baseOption(theme),
    grid: { left: 8, right: 22, top: 6, bottom: 26, containLabel: true },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'item',
      formatter: ({ value }: { value: readonly [number, number] }) =>
        `${rows[value[1]]?.name ?? ''}: ${formatNumber(kind, value[0])}`,
    },
    xAxis: { ...valueAxis(theme, xLabel, kind), scale: true },
    yAxis: nameAxis(
      theme,
      rows.map(({ name }) => name),
      190,
    ),
    series: seriesOf(plot, theme),
  };
  const told = rows.map(({ name, mean }) => `${name} ${formatNumber(kind, mean)}`);
  return {
    title,
    summary: `${title}, means: ${told.join(', ')}.`,
    option: option as unknown as Chart['option'],
    height: 40 + rows.length * ROW,
  };
}

/** Each value as a dot, the means as diamonds, and their intervals. */
function seriesOf({ rows, reference }: DotPlot, theme: ChartTheme) {
  const values = rows.flatMap((row, index) =>
    row.values.filter(Number.isFinite).map((value) => [value, index]),
  );
  const means = rows.flatMap(({ mean }, index) => (Number.isFinite(mean) ? [[mean, index]] : []));
  const intervals = rows.map(({ interval }) => interval);
  return [
    {
      type: 'scatter',
      name: 'seeds',
      data: values,
      symbolSize: 7,
      itemStyle: { color: seriesColour(theme, 0), opacity: 0.45 },
    },
    {
      type: 'scatter',
      name: 'mean',
      data: means,
      symbolSize: 10,
      symbol: 'diamond',
      itemStyle: { color: theme.ink },
      ...(reference === undefined ? {} : { markLine: verticalRule(reference, theme) }),
    },
    horizontalWhiskers(intervals, theme),
  ];
}

function verticalRule(at: number, theme: ChartTheme) {
  return {
    silent: true,
    symbol: 'none',
    label: { show: false },
    lineStyle: { color: theme.muted, type: 'dashed' },
    data: [{ xAxis: at }],
  };
}
