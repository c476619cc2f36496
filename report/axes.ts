/** What charts share: linear scales, ticks at round numbers, axis lines and labels that keep out of each other's way. */

import { drawText, textWidth, type Theme } from './chart-theme.ts';
import { element } from './markup.ts';

export type Domain = readonly [low: number, high: number];

/** The rectangle that data is drawn in, pixels. */
export interface Plot {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const TITLE_SIZE = 13;
export const LABEL_SIZE = 11;

/** value ↦ pixel; an empty domain maps to the middle. */
export function linearScale([low, high]: Domain, from: number, to: number): (value: number) => number {
  if (!(high > low)) return () => (from + to) / 2;
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

/** At most about `wanted` round numbers (1, 2 or 5 times a power of ten) inside the domain. */
export function ticks([low, high]: Domain, wanted: number, integersOnly = false): number[] {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough * 0.999) ?? 10;
  const step = integersOnly ? Math.max(1, Math.round(factor * power)) : factor * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

/** The smallest and largest finite values, widened by `margin` of their distance; [0, 1] when there are none. */
export function extent(values: readonly (number | null)[], margin = 0): Domain {
  const finite = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (finite.length === 0) return [0, 1];
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const pad = (high - low) * margin;
  return [low - pad, high + pad];
}

/**
 * Moves label centres apart until neighbours are `gap` pixels from each other, inside [low, high] where they fit;
 * order is kept. Positions come back in the order of the input.
 */
export function spreadLabels(centres: readonly number[], gap: number, low: number, high: number): number[] {
  const order = centres.map((_, index) => index).sort((a, b) => (centres[a] ?? 0) - (centres[b] ?? 0));
  const placed: number[] = [];
  for (const index of order) placed.push(Math.max(centres[index] ?? 0, (placed.at(-1) ?? low - gap) + gap));
  let limit = high;
  for (let rank = placed.length - 1; rank >= 0; rank--) {
    placed[rank] = Math.min(placed[rank] ?? high, limit);
    limit = (placed[rank] ?? high) - gap;
  }
  const result = new Array<number>(centres.length).fill(0);
  order.forEach((index, rank) => (result[index] = placed[rank] ?? 0));
  return result;
}

/** A whole drawing: `<svg>` with a title for screen readers; it scales down with its container. */
export function drawing(
  theme: Theme,
  title: string,
  width: number,
  height: number,
  ...content: readonly string[]
): string {
  const paper = theme.letters === 'strokes' ? [element('rect', { width, height, fill: theme.paper })] : [];
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${Math.round(width)} ${Math.round(height)}`,
      width: Math.round(width),
      height: Math.round(height),
      role: 'img',
      'aria-label': title,
    },
    ...paper,
    ...content,
  );
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: string, width = 1): string {
  return element('line', { x1, y1, x2, y2, stroke, 'stroke-width': width });
}

export interface Axis {
  readonly ticks: readonly number[];
  readonly scale: (value: number) => number;
  readonly format: (value: number) => string;
  readonly label: string;
}

/** Horizontal grid lines with their values at the left; the axis label stands above them. */
export function drawVerticalAxis(theme: Theme, plot: Plot, axis: Axis): string {
  const rows = axis.ticks.map((value) => {
    const y = axis.scale(value);
    const style = { size: LABEL_SIZE, anchor: 'end', colour: theme.muted } as const;
    return (
      line(plot.left, y, plot.right, y, theme.grid) +
      drawText(theme, axis.format(value), plot.left - 6, y + 4, style)
    );
  });
  return (
    rows.join('') + drawText(theme, axis.label, 2, plot.top - 9, { size: LABEL_SIZE, colour: theme.muted })
  );
}

/** Values below the plot, left out where they would touch their neighbour; `gridLines` draws a rule at each. */
export function drawHorizontalAxis(theme: Theme, plot: Plot, axis: Axis, gridLines: boolean): string {
  let taken = -Infinity;
  const columns = axis.ticks.map((value) => {
    const x = axis.scale(value);
    const text = axis.format(value);
    const half = textWidth(theme, text, LABEL_SIZE) / 2;
    const rule = gridLines
      ? line(x, plot.top, x, plot.bottom, theme.grid)
      : line(x, plot.bottom, x, plot.bottom + 4, theme.muted);
    if (x - half < taken + 6) return rule;
    taken = x + half;
    return (
      rule +
      drawText(theme, text, x, plot.bottom + 16, { size: LABEL_SIZE, anchor: 'middle', colour: theme.muted })
    );
  });
  const label = { size: LABEL_SIZE, anchor: 'middle', colour: theme.muted } as const;
  const base = gridLines ? '' : line(plot.left, plot.bottom, plot.right, plot.bottom, theme.muted);
  return (
    base +
    columns.join('') +
    drawText(theme, axis.label, (plot.left + plot.right) / 2, plot.bottom + 32, label)
  );
}

export function drawTitle(theme: Theme, title: string): string {
  return drawText(theme, title, 2, 16, { size: TITLE_SIZE, bold: true });
}
