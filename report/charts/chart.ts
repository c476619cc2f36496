/**
 * The form of every chart here: a plain description that Apache ECharts draws, in the browser (dashboard/page) and on
 * the server (draw.ts). A chart function takes numbers and a theme and has no other input. Names may hold anything:
 * tooltips and labels are drawn as text, never as markup.
 */
import type { EChartsOption } from 'echarts';
import { count, decimal, duration, NO_VALUE, percent, percentMark } from '../format.ts';
import type { ChartTheme } from './theme.ts';

export interface Chart {
  /** Stands above the chart: an element of the page, or the picture's first line. */
  readonly title: string;
  /** Its content in one sentence, for people who cannot see it. */
  readonly summary: string;
  readonly option: EChartsOption;
  /** Pixels, as its content needs. */
  readonly height: number;
}

/** How numbers are written: shares of 1 as percent, seconds as durations. */
export type NumberKind = 'rate' | 'number' | 'count' | 'seconds';

export function formatNumber(kind: NumberKind, value: number | null | undefined): string {
  if (kind === 'rate') return percent(value);
  if (kind === 'count') return count(value);
  if (kind === 'seconds') return duration(value);
  return decimal(value);
}

/** A mark of an axis: as short as it can be. */
export function formatMark(kind: NumberKind, value: number): string {
  if (kind === 'rate') return percentMark(value);
  if (kind === 'seconds') return duration(value);
  return Number(value.toPrecision(4)).toLocaleString('en-US');
}

export function isNumber(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Smallest and largest of the numbers there are; null without any. */
export function rangeOf(values: Iterable<number | null | undefined>): readonly [number, number] | null {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isNumber(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : null;
}

/** 'balanced from 12.0% to 78.7%', for summaries. */
export function courseOf(name: string, values: readonly (number | null)[], kind: NumberKind): string {
  const there = values.filter(isNumber);
  if (there.length === 0) return `${name} ${NO_VALUE}`;
  const [first, last] = [formatNumber(kind, there[0]), formatNumber(kind, there.at(-1))];
  return there.length === 1 ? `${name} ${first}` : `${name} from ${first} to ${last}`;
}

/** Options that all charts share. */
export function baseOption(theme: ChartTheme): EChartsOption {
  return {
    animation: false,
    textStyle: { fontFamily: theme.font, color: theme.ink },
    color: [...theme.series],
    backgroundColor: 'transparent',
  };
}

/** A tooltip of plain text. */
export function textTooltip(theme: ChartTheme): Record<string, unknown> {
  return {
    renderMode: 'richText',
    confine: true,
    transitionDuration: 0,
    backgroundColor: theme.paper,
    borderColor: theme.grid,
    textStyle: { color: theme.ink, fontSize: 12, fontFamily: theme.font },
  };
}

export function axisStyle(theme: ChartTheme) {
  return {
    axisLabel: { color: theme.muted, fontSize: 11, hideOverlap: true },
    axisLine: { lineStyle: { color: theme.grid } },
    axisTick: { lineStyle: { color: theme.grid } },
    splitLine: { lineStyle: { color: theme.grid } },
    nameTextStyle: { color: theme.muted, fontSize: 11 },
  };
}

/** A horizontal axis of numbers, named below. */
export function valueAxis(theme: ChartTheme, name: string, kind: NumberKind) {
  const style = axisStyle(theme);
  return {
    ...style,
    type: 'value' as const,
    name,
    nameLocation: 'middle' as const,
    nameGap: 26,
    axisLabel: { ...style.axisLabel, formatter: (value: number) => formatMark(kind, value) },
  };
}

/** A vertical axis of names, the first on top; a name that is wider than `width` pixels is cut. */
export function nameAxis(theme: ChartTheme, names: readonly string[], width: number, fontSize = 12) {
  return {
    ...axisStyle(theme),
    type: 'category' as const,
    inverse: true,
    data: [...names],
    axisLabel: { color: theme.ink, fontSize, interval: 0, width, overflow: 'truncate' as const },
  };
}

/** The legend's place and looks; charts of one series have none. */
export function legendOf(theme: ChartTheme, names: readonly string[]): Record<string, unknown> {
  return {
    show: names.length > 1,
    type: 'scroll',
    top: 0,
    left: 0,
    icon: 'roundRect',
    itemWidth: 12,
    itemHeight: 4,
    itemGap: 14,
    textStyle: { color: theme.ink, fontSize: 12 },
    pageIconColor: theme.ink,
    pageTextStyle: { color: theme.muted },
    data: [...names],
  };
}
