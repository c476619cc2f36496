/** Rates per class as horizontal bars, one per method or split, so that class names of any length stay readable. */

import { drawHorizontalAxis, drawTitle, drawing, LABEL_SIZE, line, linearScale } from './axes.ts';
import type { Plot } from './axes.ts';
import { drawText, fitText, seriesColour, textWidth, type Theme } from './chart-theme.ts';
import { element, escapeMarkup } from './markup.ts';
import type { Interval } from './statistics.ts';

export interface BarSeries {
  readonly name: string;
  /** One per category, rates in [0, 1]. */
  readonly values: readonly (number | null)[];
  readonly intervals?: readonly (Interval | null)[];
}

export interface GroupedBars {
  readonly title: string;
  readonly xLabel: string;
  readonly categories: readonly { readonly name: string; readonly note: string }[];
  readonly series: readonly BarSeries[];
  readonly format: (value: number) => string;
  /** For the axis; `format` when absent. */
  readonly tickFormat?: (value: number) => string;
  readonly width?: number;
}

/** Coloured squares with names, wrapped to `width`; gives the markup and the height used. */
function drawLegend(
  theme: Theme,
  names: readonly string[],
  width: number,
  top: number,
): { markup: string; height: number } {
  let x = 2;
  let y = top + 10;
  let markup = '';
  names.forEach((name, index) => {
    const text = fitText(theme, name, LABEL_SIZE, width - 24);
    const needed = textWidth(theme, text, LABEL_SIZE) + 32;
    if (x > 2 && x + needed > width) {
      x = 2;
      y += 17;
    }
    markup += element('rect', {
      x,
      y: y - 9,
      width: 10,
      height: 10,
      rx: 2,
      fill: seriesColour(theme, index),
    });
    markup += drawText(theme, text, x + 15, y, { size: LABEL_SIZE });
    x += needed;
  });
  return { markup, height: y - top + 8 };
}

function drawBar(
  theme: Theme,
  chart: GroupedBars,
  seriesIndex: number,
  row: number,
  y: number,
  thick: number,
  scale: (value: number) => number,
): string {
  const series = chart.series[seriesIndex];
  const value = series?.values[row];
  const interval = series?.intervals?.[row];
  if (value === null || value === undefined || !Number.isFinite(value))
    return drawText(theme, '–', scale(0) + 4, y + thick / 2 + 4, { size: LABEL_SIZE, colour: theme.muted });
  const hint = `${chart.categories[row]?.name ?? ''}, ${series?.name ?? ''}: ${chart.format(value)}`;
  const middle = y + thick / 2;
  const end = scale(interval?.high ?? value);
  return (
    element(
      'path',
      {
        d: `M${scale(0)} ${middle}H${scale(value).toFixed(1)}`,
        stroke: seriesColour(theme, seriesIndex),
        'stroke-width': thick,
      },
      element('title', {}, escapeMarkup(hint)),
    ) +
    (interval ? line(scale(interval.low), middle, scale(interval.high), middle, theme.ink, 1.2) : '') +
    (chart.series.length <= 2
      ? drawText(theme, chart.format(value), end + 5, middle + 4, {
          size: LABEL_SIZE - 1,
          colour: theme.muted,
        })
      : '')
  );
}

/** Bars grouped by category over the axis 0 to 1; with one or two series each bar carries its value. */
export function groupedBars(theme: Theme, chart: GroupedBars): string {
  const width = chart.width ?? 460;
  const legend =
    chart.series.length > 1
      ? drawLegend(
          theme,
          chart.series.map(({ name }) => name),
          width,
          24,
        )
      : { markup: '', height: 4 };
  const thick = chart.series.length === 1 ? 14 : chart.series.length === 2 ? 10 : 6;
  const rowHeight = Math.max(30, chart.series.length * (thick + 1) + 10);
  const names = chart.categories.flatMap(({ name, note }) => [name, note]);
  const left =
    Math.min(width * 0.36, Math.max(0, ...names.map((text) => textWidth(theme, text, LABEL_SIZE)))) + 14;
  const top = 26 + legend.height;
  const plot: Plot = { left, top, right: width - 44, bottom: top + chart.categories.length * rowHeight };
  const scale = linearScale([0, 1], plot.left, plot.right);
  const rows = chart.categories.map((category, row) => {
    const middle = top + (row + 0.5) * rowHeight;
    const first = middle - (chart.series.length * (thick + 1)) / 2;
    const bars = chart.series.map((_, index) =>
      drawBar(theme, chart, index, row, first + index * (thick + 1), thick, scale),
    );
    const label = { size: LABEL_SIZE, anchor: 'end' } as const;
    return (
      drawText(theme, fitText(theme, category.name, LABEL_SIZE, left - 12), left - 8, middle - 1, label) +
      drawText(theme, category.note, left - 8, middle + 12, {
        ...label,
        size: LABEL_SIZE - 1,
        colour: theme.muted,
      }) +
      bars.join('')
    );
  });
  return drawing(
    theme,
    chart.title,
    width,
    plot.bottom + 40,
    drawTitle(theme, chart.title),
    legend.markup,
    drawHorizontalAxis(
      theme,
      plot,
      {
        ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
        scale,
        format: chart.tickFormat ?? chart.format,
        label: chart.xLabel,
      },
      true,
    ),
    ...rows,
  );
}
