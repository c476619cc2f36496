/** A confusion matrix as a heat map: rows are true classes, columns predictions, shades the share of the row. */

import { drawTitle, drawing, LABEL_SIZE } from './axes.ts';
import { drawText, fitText, textWidth, type Theme } from './chart-theme.ts';
import { count, percent } from './format.ts';
import { element, escapeMarkup } from './markup.ts';

const LEAN = 40;
const MOST_NAMES = 40;
const NAME_ROOM = 110;

interface Grid {
  readonly left: number;
  readonly top: number;
  readonly cell: number;
}

function drawCell(
  theme: Theme,
  grid: Grid,
  row: number,
  column: number,
  images: number,
  share: number,
  hint: string,
): string {
  const x = grid.left + column * grid.cell;
  const y = grid.top + row * grid.cell;
  const size = grid.cell - 1;
  const rectangle = element(
    'rect',
    {
      x,
      y,
      width: size,
      height: size,
      fill: theme.heat,
      'fill-opacity': images > 0 ? 0.06 + 0.94 * share : 0.03,
    },
    element('title', {}, escapeMarkup(hint)),
  );
  if (images === 0 || grid.cell < 20) return rectangle;
  const text = (share * 100).toFixed(0);
  const colour = share > 0.62 ? theme.paper : theme.ink;
  return (
    rectangle +
    drawText(theme, text, x + size / 2, y + size / 2 + 4, { size: LABEL_SIZE, anchor: 'middle', colour })
  );
}

function drawRow(
  theme: Theme,
  grid: Grid,
  row: number,
  counts: readonly number[],
  classes: readonly string[],
): string {
  const total = counts.reduce((sum, images) => sum + images, 0);
  const cells = counts.map((images, column) => {
    const share = total > 0 ? images / total : 0;
    const hint = `true ${classes[row] ?? row}, predicted ${classes[column] ?? column}: ${count(images)} of ${count(total)} (${percent(share)})`;
    return drawCell(theme, grid, row, column, images, share, hint);
  });
  return cells.join('');
}

function drawNames(theme: Theme, grid: Grid, classes: readonly string[]): string {
  if (classes.length > MOST_NAMES) return '';
  const style = { size: LABEL_SIZE };
  return classes
    .map((name, index) => {
      const middle = (index + 0.5) * grid.cell;
      const text = fitText(theme, name, LABEL_SIZE, NAME_ROOM);
      return (
        drawText(theme, text, grid.left - 7, grid.top + middle + 4, { ...style, anchor: 'end' }) +
        drawText(theme, text, grid.left + middle + 2, grid.top - 6, { ...style, rotate: -LEAN })
      );
    })
    .join('');
}

/** `confusion[true][predicted]`, counts; numbers in cells are percent of the true class. */
export function confusionChart(
  theme: Theme,
  title: string,
  confusion: readonly (readonly number[])[],
  classes: readonly string[],
): string {
  const size = Math.max(1, classes.length);
  const named = size <= MOST_NAMES;
  const longest = named
    ? Math.max(
        0,
        ...classes.map((name) => textWidth(theme, fitText(theme, name, LABEL_SIZE, NAME_ROOM), LABEL_SIZE)),
      )
    : 0;
  const lean = (LEAN * Math.PI) / 180;
  const cell = Math.max(6, Math.min(34, 400 / size));
  const grid: Grid = { left: longest + 14, top: 34 + longest * Math.sin(lean) + 12, cell };
  const width = grid.left + size * cell + Math.max(8, longest * Math.cos(lean) - cell / 2);
  const height = grid.top + size * cell + 24;
  const note = 'rows: true class · columns: predicted · numbers: % of the row';
  return drawing(
    theme,
    title,
    Math.max(width, 330),
    height,
    drawTitle(theme, title),
    drawNames(theme, grid, classes),
    ...confusion.map((counts, row) => drawRow(theme, grid, row, counts, classes)),
    drawText(theme, note, 2, height - 6, { size: LABEL_SIZE - 1, colour: theme.muted }),
  );
}
