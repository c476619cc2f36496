/** One group of horizontal bars a category, one bar a series, with intervals where they are known. */
import type { BarSeriesOption, CustomSeriesOption } from 'echarts';
import type { Interval } from '../statistics.ts';
import {
  baseOption,
  type Chart,
  formatNumber,
  legendOf,
  nameAxis,
  type NumberKind,
  textTooltip,
  valueAxis,
} from './chart.ts';
import { horizontalWhiskers } from './whiskers.ts';
import { type ChartTheme, seriesColour } from './theme.ts';

export interface BarSeries {
  readonly name: string;
  /** One per category; null if there is none. */
  readonly values: readonly (number | null)[];
  readonly intervals?: readonly (Interval | null)[];
}

export interface BarChart {
  readonly title: string;
  readonly xLabel: string;
  readonly categories: readonly { readonly name: string; readonly note?: string }[];
  readonly series: readonly BarSeries[];
  readonly kind: NumberKind;
}

const BAR_HEIGHT = 12;
const GROUP_GAP = 12;
const NAME_WIDTH = 150;

/** Bars, and above them the whiskers of the series that have intervals. */
function seriesOf({ series }: BarChart, theme: ChartTheme) {
  const bars = series.map(({ name, values }, index): BarSeriesOption => ({
    type: 'bar',
    name,
    data: values.map((value) => value ?? '-'),
    barMaxWidth: BAR_HEIGHT,
    barGap: '15%',
    barCategoryGap: '30%',
    itemStyle: { color: seriesColour(theme, index), borderRadius: [0, 2, 2, 0] },
    emphasis: { disabled: true },
  }));
  const whiskers = series.flatMap(({ intervals }, index): CustomSeriesOption[] =>
    intervals === undefined
      ? []
      : [horizontalWhiskers(intervals, theme, { index, of: series.length, barPx: BAR_HEIGHT })],
  );
  return [...bars, ...whiskers];
}

export function barChart(chart: BarChart, theme: ChartTheme): Chart {
  const { title, kind, categories, series, xLabel } = chart;
  const names = series.map(({ name }) => name);
  const top = names.length > 1 ? 30 : 6;
  const rows = categories.map(({ name }) => name);
  const option = {
    ...baseOption(theme),
    legend: legendOf(theme, names),
    grid: { left: 8, right: 22, top, bottom: 26, containLabel: true },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'axis',
      axisPointer: { type: 'shadow' },
      valueFormatter: (value: unknown) => formatNumber(kind, value as number),
    },
    xAxis: { ...valueAxis(theme, xLabel, kind), min: 0, ...(kind === 'rate' ? { max: 1 } : {}) },
    yAxis: { ...nameAxis(theme, rows, NAME_WIDTH), splitLine: { show: false } },
    series: seriesOf(chart, theme),
  };
  const height = top + 34 + categories.length * (series.length * BAR_HEIGHT * 1.15 + GROUP_GAP);
  const summary = `${title}: ${series.map((one) => `${one.name} in ${categories.length} rows`).join(', ')}; ${xLabel}.`;
  return { title, summary, option: option as Chart['option'], height: Math.round(height) };
}
