/** Rows of values with their mean and its interval: methods over seeds, differences of a study. */
import type { Interval } from '../statistics.ts';
import {
  axisStyle,
  baseOption,
  type Chart,
  formatMark,
  formatNumber,
  type NumberKind,
  textTooltip,
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
  const { title, xLabel, rows, kind, reference } = plot;
  const style = axisStyle(theme);
  const seeds = rows.flatMap(({ values }, row) =>
    values.filter(Number.isFinite).map((value) => [value, row]),
  );
  const means = rows.flatMap(({ mean }, row) => (Number.isFinite(mean) ? [[mean, row]] : []));
  const rule =
    reference === undefined
      ? {}
      : {
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { color: theme.muted, type: 'dashed' },
            data: [{ xAxis: reference }],
          },
        };
  const option = {
    ...baseOption(theme),
    grid: { left: 8, right: 22, top: 6, bottom: 26, containLabel: true },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'item',
      formatter: ({ value }: { value: readonly [number, number] }) =>
        `${rows[value[1]]?.name ?? ''}: ${formatNumber(kind, value[0])}`,
    },
    xAxis: {
      ...style,
      type: 'value',
      scale: true,
      name: xLabel,
      nameLocation: 'middle',
      nameGap: 26,
      axisLabel: { ...style.axisLabel, formatter: (value: number) => formatMark(kind, value) },
    },
    yAxis: {
      ...style,
      type: 'category',
      inverse: true,
      data: rows.map(({ name }) => name),
      axisLabel: { color: theme.ink, fontSize: 12, interval: 0, width: 190, overflow: 'truncate' },
    },
    series: [
      {
        type: 'scatter',
        name: 'seeds',
        data: seeds,
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
        ...rule,
      },
      horizontalWhiskers(
        rows.map(({ interval }) => interval),
        theme,
      ),
    ],
  };
  const told = rows.map(({ name, mean }) => `${name} ${formatNumber(kind, mean)}`);
  return {
    title,
    summary: `${title}, means: ${told.join(', ')}.`,
    option: option as unknown as Chart['option'],
    height: 40 + rows.length * ROW,
  };
}
