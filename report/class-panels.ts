/** What adaptive sampling did: for every class one small panel, its quota as bars and its accuracy as a line. */

import { drawing, extent, LABEL_SIZE, line, linearScale } from './axes.ts';
import { drawText, fitText, seriesColour, textWidth, type Theme } from './chart-theme.ts';
import { count, percent } from './format.ts';
import { element } from './markup.ts';
import type { EpochRecord } from './records.ts';

const WIDTH = 208;
const HEIGHT = 118;
const PLOT = { left: 8, right: 166, top: 36, bottom: 100 };

/** Colours of the two quantities, as indices into the palette; the page's legend uses them too. */
export const ACCURACY_COLOUR = 0;
export const QUOTA_COLOUR = 4;

function drawQuotas(
  theme: Theme,
  epochs: readonly EpochRecord[],
  index: number,
  x: (epoch: number) => number,
): string {
  const largest = Math.max(1, ...epochs.flatMap((record) => record.quota ?? []));
  const height = linearScale([0, largest], 0, PLOT.bottom - PLOT.top);
  const spacing = (PLOT.right - PLOT.left) / Math.max(1, epochs.length);
  const thick = Math.max(1, Math.min(12, spacing * 0.72));
  const bars = epochs.map((record) => {
    const quota = record.quota?.[index];
    if (quota === undefined || !(quota > 0)) return '';
    return `M${x(record.epoch).toFixed(1)} ${PLOT.bottom}v${(-height(quota)).toFixed(1)}`;
  });
  const colour = seriesColour(theme, QUOTA_COLOUR);
  return element('path', { d: bars.join(''), stroke: colour, 'stroke-width': thick, 'stroke-opacity': 0.75 });
}

function drawAccuracy(
  theme: Theme,
  epochs: readonly EpochRecord[],
  index: number,
  x: (epoch: number) => number,
): string {
  const y = linearScale([0, 1], PLOT.bottom, PLOT.top);
  let broken = true;
  const d = epochs.map((record) => {
    const value = record.samplingAccuracy?.[index];
    const command = broken ? 'M' : 'L';
    broken = value === undefined || !Number.isFinite(value);
    return value === undefined || broken
      ? ''
      : `${command}${x(record.epoch).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  const colour = seriesColour(theme, ACCURACY_COLOUR);
  return element('path', {
    d: d.join(''),
    fill: 'none',
    stroke: colour,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
  });
}

function drawPanel(
  theme: Theme,
  epochs: readonly EpochRecord[],
  index: number,
  name: string,
  images: number,
): string {
  const [first, last] = extent(epochs.map((record) => record.epoch));
  const inset = Math.min(16, (PLOT.right - PLOT.left) / (2 * Math.max(1, epochs.length)));
  const x = linearScale([first, last], PLOT.left + inset, PLOT.right - inset);
  const small = { size: LABEL_SIZE - 1, colour: theme.muted };
  const total = `${count(images)} real`;
  const room = WIDTH - 12 - textWidth(theme, total, small.size);
  const accuracy = epochs.findLast((record) => record.samplingAccuracy !== null)?.samplingAccuracy?.[index];
  const quota = epochs.findLast((record) => record.quota !== null)?.quota?.[index];
  const right = PLOT.right + 6;
  const dot = (colour: number, y: number): string =>
    element('circle', { cx: right + 2, cy: y, r: 3, fill: seriesColour(theme, colour) });
  return drawing(
    theme,
    `${name}: quota and accuracy by epoch`,
    WIDTH,
    HEIGHT,
    drawText(theme, fitText(theme, name, 12, room), 2, 14, { size: 12, bold: true }),
    drawText(theme, total, WIDTH - 2, 14, { ...small, anchor: 'end' }),
    line(PLOT.left, PLOT.top, PLOT.right, PLOT.top, theme.grid),
    drawQuotas(theme, epochs, index, x),
    drawAccuracy(theme, epochs, index, x),
    line(PLOT.left, PLOT.bottom, PLOT.right, PLOT.bottom, theme.muted),
    drawText(theme, String(first), x(first), HEIGHT - 5, { ...small, anchor: 'middle' }),
    last > first ? drawText(theme, String(last), x(last), HEIGHT - 5, { ...small, anchor: 'middle' }) : '',
    dot(ACCURACY_COLOUR, 52) + drawText(theme, percent(accuracy, 0), right + 8, 56, { size: LABEL_SIZE }),
    dot(QUOTA_COLOUR, 76) + drawText(theme, count(quota), right + 8, 80, { size: LABEL_SIZE }),
  );
}

/**
 * One SVG per class, smallest class first. Bars share one scale over all classes (images an epoch); lines run from 0%
 * to 100% (the upper rule).
 */
export function classPanels(
  theme: Theme,
  epochs: readonly EpochRecord[],
  classes: readonly string[],
  classCounts: readonly number[],
): string[] {
  return classes
    .map((name, index) => ({ name, index, images: classCounts[index] ?? 0 }))
    .sort((a, b) => a.images - b.images || a.index - b.index)
    .map(({ name, index, images }) => drawPanel(theme, epochs, index, name, images));
}
