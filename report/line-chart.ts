/** Values over epochs as lines, each named at its right end. Missing values leave a gap. */

import {
  drawHorizontalAxis,
  drawTitle,
  drawVerticalAxis,
  drawing,
  extent,
  LABEL_SIZE,
  linearScale,
  spreadLabels,
  ticks,
} from './axes.ts';
import type { Domain, Plot } from './axes.ts';
import { drawText, fitText, seriesColour, seriesDash, textWidth, type Theme } from './chart-theme.ts';
import { element } from './markup.ts';

export interface Series {
  readonly name: string;
  /** One per entry of `x`; null or NaN where there is none. */
  readonly values: readonly (number | null)[];
  /** Index of its colour; its position when absent. */
  readonly colour?: number;
}

export interface LineChart {
  readonly title: string;
  readonly x: readonly number[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  /** For the axis; `format` when absent. */
  readonly tickFormat?: (value: number) => string;
  /** 'fit' to the values, from 'zero' to their largest, or fixed. */
  readonly domain?: 'fit' | 'zero' | Domain;
  readonly width?: number;
  readonly height?: number;
}

interface Pixel {
  readonly x: number;
  readonly y: number;
}

function yDomain(chart: LineChart): Domain {
  if (typeof chart.domain === 'object') return chart.domain;
  const [low, high] = extent(
    chart.series.flatMap((series) => series.values),
    0.06,
  );
  const flat = Math.max(Math.abs(high), 1e-9) * 0.05;
  const widened: Domain = high > low ? [low, high] : [low - flat, high + flat];
  return chart.domain === 'zero' ? [0, Math.max(widened[1], 1e-9)] : widened;
}

/** Runs of neighbouring values that exist. */
function segments(
  values: readonly (number | null)[],
  place: (index: number, value: number) => Pixel,
): Pixel[][] {
  const runs: Pixel[][] = [[]];
  values.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) runs.push([]);
    else runs.at(-1)?.push(place(index, value));
  });
  return runs.filter((run) => run.length > 0);
}

function drawSegment(run: readonly Pixel[], colour: string, dash: string | undefined): string {
  const first = run[0];
  if (first !== undefined && run.length === 1)
    return element('circle', { cx: first.x, cy: first.y, r: 3, fill: colour });
  const d = run.map(({ x, y }, index) => `${index ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  return element('path', {
    d,
    fill: 'none',
    stroke: colour,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
    'stroke-dasharray': dash,
  });
}

interface EndLabel {
  readonly text: string;
  readonly at: Pixel;
  readonly colour: string;
}

function drawEndLabels(theme: Theme, labels: readonly EndLabel[], plot: Plot, room: number): string {
  const spread = spreadLabels(
    labels.map(({ at }) => at.y),
    LABEL_SIZE + 3,
    plot.top,
    plot.bottom,
  );
  return labels
    .map(({ text, at, colour }, index) => {
      const y = spread[index] ?? at.y;
      const leader = {
        x1: at.x + 3,
        y1: at.y,
        x2: plot.right + 9,
        y2: y,
        stroke: colour,
        'stroke-width': 1,
        opacity: 0.7,
      };
      return (
        element('line', leader) +
        element('circle', { cx: at.x, cy: at.y, r: 2.6, fill: colour }) +
        drawText(theme, fitText(theme, text, LABEL_SIZE, room), plot.right + 12, y + 4, { size: LABEL_SIZE })
      );
    })
    .join('');
}

/** The last value that exists, with its position. */
function lastValue(values: readonly (number | null)[]): { index: number; value: number } | null {
  const index = values.findLastIndex((value) => value !== null && Number.isFinite(value));
  const value = values[index];
  return value === undefined || value === null ? null : { index, value };
}

/** `chart` as SVG. Lines without any value are left out; without any line it says so. */
export function lineChart(theme: Theme, chart: LineChart): string {
  const width = chart.width ?? 460;
  const height = chart.height ?? 250;
  const shown = chart.series.flatMap((series, position) => {
    const last = lastValue(series.values);
    if (last === null) return [];
    const text =
      chart.series.length === 1 ? chart.format(last.value) : `${series.name} ${chart.format(last.value)}`;
    return [{ series, last, text, index: series.colour ?? position }];
  });
  const domain = yDomain(chart);
  const tickFormat = chart.tickFormat ?? chart.format;
  const marks = ticks(domain, 5);
  const room = Math.min(
    width * 0.42,
    Math.max(0, ...shown.map(({ text }) => textWidth(theme, text, LABEL_SIZE))),
  );
  const left = Math.max(...marks.map((mark) => textWidth(theme, tickFormat(mark), LABEL_SIZE))) + 10;
  const plot: Plot = { left, top: 48, right: width - room - 16, bottom: height - 38 };
  const x = linearScale(extent(chart.x), plot.left + 6, plot.right - 2);
  const y = linearScale(domain, plot.bottom, plot.top);
  const place = (index: number, value: number): Pixel => ({ x: x(chart.x[index] ?? 0), y: y(value) });
  const lines = shown.flatMap(({ series, index }) =>
    segments(series.values, place).map((run) =>
      drawSegment(run, seriesColour(theme, index), seriesDash(theme, index)),
    ),
  );
  const labels = shown.map(({ last, text, index }) => ({
    text,
    at: place(last.index, last.value),
    colour: seriesColour(theme, index),
  }));
  const none =
    shown.length > 0
      ? ''
      : drawText(theme, 'nothing measured yet', plot.left + 12, (plot.top + plot.bottom) / 2, {
          size: LABEL_SIZE,
          colour: theme.muted,
        });
  return drawing(
    theme,
    chart.title,
    width,
    height,
    drawTitle(theme, chart.title),
    drawVerticalAxis(theme, plot, { ticks: marks, scale: y, format: tickFormat, label: chart.yLabel }),
    drawHorizontalAxis(
      theme,
      plot,
      { ticks: ticks(extent(chart.x), 6, true), scale: x, format: String, label: chart.xLabel },
      false,
    ),
    ...lines,
    drawEndLabels(theme, labels, plot, room),
    none,
  );
}
