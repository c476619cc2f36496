/** Values over epochs as lines. Missing values leave a gap; long series are thinned to what the width shows (LTTB). */
import type { LineSeriesOption } from 'echarts';
import {
  axisStyle,
  baseOption,
  type Chart,
  courseOf,
  formatMark,
  formatNumber,
  isNumber,
  legendOf,
  type NumberKind,
  rangeOf,
  textTooltip,
} from './chart.ts';
import { type ChartTheme, seriesColour, seriesDash } from './theme.ts';

export interface LineSeries {
  readonly name: string;
  /** One per entry of `x`; null or NaN if there is none. */
  readonly values: readonly (number | null)[];
  /** Index of its colour; its position when absent. */
  readonly colour?: number;
}

export interface LineChart {
  readonly title: string;
  /** Epochs or steps, ascending. */
  readonly x: readonly number[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly LineSeries[];
  readonly kind: NumberKind;
  /** 'fit' to the values (the default), or from 'zero'. */
  readonly domain?: 'fit' | 'zero';
  readonly height?: number;
}

/** Below this many points each is marked. */
const MARKED_POINTS = 2;
/** Above this many points the axis can be zoomed. */
const ZOOM_POINTS = 60;

function seriesOf(chart: LineChart, theme: ChartTheme): LineSeriesOption[] {
  return chart.series.map(({ name, values, colour: chosen }, index) => {
    const colour = seriesColour(theme, chosen ?? index);
    return {
      type: 'line',
      name,
      data: chart.x.map((x, i) => [x, isNumber(values[i]) ? values[i] : null]),
      showSymbol: values.filter(isNumber).length < MARKED_POINTS,
      symbolSize: 6,
      sampling: 'lttb',
      lineStyle: { width: 2, color: colour, type: seriesDash(theme, chosen ?? index) },
      itemStyle: { color: colour },
      emphasis: { disabled: true },
    };
  });
}

function epochAxis({ x, xLabel }: LineChart, theme: ChartTheme) {
  return {
    ...axisStyle(theme),
    type: 'value' as const,
    name: xLabel,
    nameLocation: 'middle' as const,
    nameGap: 24,
    min: x[0] ?? 0,
    max: x.length > 1 ? (x.at(-1) ?? 1) : (x[0] ?? 0) + 1,
    minInterval: 1,
    splitLine: { show: false },
  };
}

/** Rates that come near to 1 are drawn up to 1. */
function quantityAxis({ series, kind, domain, yLabel }: LineChart, theme: ChartTheme) {
  const range = rangeOf(series.flatMap(({ values }) => values));
  const style = axisStyle(theme);
  return {
    ...style,
    type: 'value' as const,
    name: yLabel,
    nameLocation: 'end' as const,
    nameGap: 10,
    nameTextStyle: { ...style.nameTextStyle, align: 'left' as const },
    scale: domain !== 'zero' && range !== null,
    ...(kind === 'rate' && range !== null && range[1] > 0.93 ? { max: 1 } : {}),
    axisLabel: { ...style.axisLabel, formatter: (value: number) => formatMark(kind, value) },
  };
}

export function lineChart(chart: LineChart, theme: ChartTheme): Chart {
  const { title, kind, series, x, xLabel } = chart;
  const hasZoom = x.length > ZOOM_POINTS && theme.name !== 'print';
  const names = series.map(({ name }) => name);
  const option = {
    ...baseOption(theme),
    legend: legendOf(theme, names),
    grid: { left: 8, right: 14, top: names.length > 1 ? 52 : 28, bottom: 24, containLabel: true },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'axis',
      valueFormatter: (value: unknown) => formatNumber(kind, value as number),
    },
    xAxis: epochAxis(chart, theme),
    yAxis: quantityAxis(chart, theme),
    dataZoom: hasZoom ? [{ type: 'inside', zoomOnMouseWheel: 'ctrl', filterMode: 'none' }] : [],
    series: seriesOf(chart, theme),
  };
  const summary = `${title} over ${xLabel}s: ${series.map(({ name, values }) => courseOf(name, values, kind)).join(', ')}.`;
  return { title, summary, option: option as Chart['option'], height: chart.height ?? 260 };
}
