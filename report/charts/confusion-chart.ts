/** A confusion matrix: each row is a true class, shaded by the share of its images; cells are sparse. */
import { count, percent } from '../format.ts';
import type { Metrics } from '../records.ts';
import type { Chart } from './chart.ts';
import { heatMap } from './heat-map.ts';
import type { ChartTheme } from './theme.ts';

/** Non-zero counts as [true, predicted, images]. */
export type ConfusionCells = readonly (readonly [truth: number, predicted: number, images: number])[];

export interface Confusion {
  readonly title: string;
  readonly classes: readonly string[];
  readonly cells: ConfusionCells;
  /** Classes to show, by index; all by default. */
  readonly shown?: readonly number[];
}

/** Numbers are written into matrices up to this size. */
const NUMBERED = 20;

/** A confusion matrix, in whichever form the record holds it. */
export function cellsOf({ confusion, confusionCells: cells }: Metrics): ConfusionCells {
  return cells ?? confusionCells(confusion);
}

/** The sparse form of confusion[true][predicted]. */
export function confusionCells(confusion: readonly (readonly number[])[]): [number, number, number][] {
  return confusion.flatMap((row, truth) =>
    row.flatMap((images, predicted): [number, number, number][] =>
      images > 0 ? [[truth, predicted, images]] : [],
    ),
  );
}

/** Images of each true class. */
export function supportOf(cells: ConfusionCells, classes: number): number[] {
  const support = new Array<number>(classes).fill(0);
  for (const [truth, , images] of cells) support[truth] = (support[truth] ?? 0) + images;
  return support;
}

export interface Mixup {
  readonly truth: number;
  readonly predicted: number;
  readonly images: number;
  /** Of the true class's images. */
  readonly share: number;
}

/** The pairs that are taken for each other, most of the true class's share first. */
export function worstMixups(cells: ConfusionCells, classes: number, most: number): Mixup[] {
  const support = supportOf(cells, classes);
  return cells
    .filter(([truth, predicted]) => truth !== predicted)
    .map(([truth, predicted, images]) => ({ truth, predicted, images, share: images / support[truth]! }))
    .sort((a, b) => b.share - a.share || b.images - a.images)
    .slice(0, most);
}

export function confusionChart(confusion: Confusion, theme: ChartTheme): Chart {
  const { title, classes, cells } = confusion;
  const shown = confusion.shown ?? classes.map((_, index) => index);
  const place = new Map(shown.map((index, position) => [index, position]));
  const support = supportOf(cells, classes.length);
  const images = new Map(cells.map(([truth, predicted, n]) => [truth * classes.length + predicted, n]));
  const placed = cells.flatMap(([truth, predicted, n]): [number, number, number][] => {
    const [column, row] = [place.get(predicted), place.get(truth)];
    return column === undefined || row === undefined ? [] : [[column, row, n / support[truth]!]];
  });
  const names = shown.map((index) => classes[index] ?? '?');
  const worst = worstMixups(cells, classes.length, 3).map(
    ({ truth, predicted, share }) =>
      `${percent(share, 0)} of ${classes[truth]} taken for ${classes[predicted]}`,
  );
  return heatMap(
    {
      title,
      summary: `${title}. ${worst.length === 0 ? 'No mistakes' : `Most frequent: ${worst.join('; ')}`}.`,
      ...{ rows: names, columns: names, cells: placed, kind: 'rate' },
      xLabel: 'predicted',
      yLabel: 'true',
      hasNumbers: shown.length <= NUMBERED,
      rowHeight: shown.length <= NUMBERED ? 24 : 14,
      tell(column, row, share) {
        const [truth, predicted] = [shown[row]!, shown[column]!];
        const n = images.get(truth * classes.length + predicted) ?? 0;
        return `${classes[truth]} taken for ${classes[predicted]}: ${count(n)} of ${count(support[truth])} (${percent(share)})`;
      },
    },
    theme,
  );
}
