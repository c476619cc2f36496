/** Methods as rows of dots: every seed, their mean, and an interval. Rows keep names of any length readable. */

import {
  drawHorizontalAxis,
  drawTitle,
  drawing,
  extent,
  LABEL_SIZE,
  line,
  linearScale,
  ticks,
} from './axes.ts';
import type { Plot } from './axes.ts';
import { drawText, fitText, seriesColour, textWidth, type Theme } from './chart-theme.ts';
import { element } from './markup.ts';
import type { Interval } from './statistics.ts';

export interface DotRow {
  readonly name: string;
  /** One per seed; drawn as small dots. */
  readonly values: readonly number[];
  readonly mean: number;
  readonly interval: Interval | null;
  /** Printed at the right. */
  readonly note: string;
}

export interface DotPlot {
  readonly title: string;
  readonly xLabel: string;
  readonly rows: readonly DotRow[];
  readonly format: (value: number) => string;
  readonly width?: number;
}

const DOT_ROW = 32;

function widest(theme: Theme, texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => textWidth(theme, text, LABEL_SIZE)));
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function drawDotRow(
  theme: Theme,
  row: DotRow,
  index: number,
  plot: Plot,
  scale: (value: number) => number,
): string {
  const y = plot.top + (index + 0.5) * DOT_ROW;
  const colour = seriesColour(theme, index);
  const name = fitText(theme, row.name, LABEL_SIZE, plot.left - 12);
  const inside = (value: number): number => Math.min(plot.right, Math.max(plot.left, scale(value)));
  const bar = row.interval && line(inside(row.interval.low), y, inside(row.interval.high), y, colour, 2);
  const seeds = row.values
    .filter(isNumber)
    .map((value) => element('circle', { cx: scale(value), cy: y + 9, r: 2, fill: colour, opacity: 0.8 }));
  const mean = isNumber(row.mean)
    ? element('circle', { cx: scale(row.mean), cy: y, r: 5, fill: colour })
    : '';
  return (
    drawText(theme, name, plot.left - 10, y + 4, { size: LABEL_SIZE, anchor: 'end' }) +
    (bar ?? '') +
    mean +
    (row.values.length > 1 ? seeds.join('') : '') +
    drawText(theme, row.note, plot.right + 12, y + 4, { size: LABEL_SIZE })
  );
}

/** Rows of dots: a large one for the mean, below it a small one for each seed; a rule for the interval. */
export function dotPlot(theme: Theme, chart: DotPlot): string {
  const width = chart.width ?? 460;
  const values = chart.rows.flatMap((row) => [...row.values, row.mean]);
  const [low, high] = extent(values, 0.12);
  const domain = high > low ? ([low, high] as const) : ([low - 0.05, high + 0.05] as const);
  const left =
    Math.min(
      width * 0.35,
      widest(
        theme,
        chart.rows.map((row) => row.name),
      ),
    ) + 14;
  const right =
    width -
    widest(
      theme,
      chart.rows.map((row) => row.note),
    ) -
    18;
  const bottom = 30 + chart.rows.length * DOT_ROW;
  const plot: Plot = { left, top: 30, right, bottom };
  const scale = linearScale(domain, left, right);
  return drawing(
    theme,
    chart.title,
    width,
    bottom + 40,
    drawTitle(theme, chart.title),
    drawHorizontalAxis(
      theme,
      plot,
      { ticks: ticks(domain, 5), scale, format: chart.format, label: chart.xLabel },
      true,
    ),
    ...chart.rows.map((row, index) => drawDotRow(theme, row, index, plot, scale)),
  );
}
