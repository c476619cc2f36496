/** Which class is taken for which: the matrix, and the most frequent pairs by name. */
import type { Chart } from '../../../report/charts/chart.ts';
import { confusionChart, worstMixups } from '../../../report/charts/confusion-chart.ts';
import type { ChartTheme } from '../../../report/charts/theme.ts';
import { count, percent } from '../../../report/format.ts';
import type { Evaluation } from '../../model/run-model.ts';
import { chartBox } from '../chart-box.ts';
import { h, labelled, optionsOf, replace, section, table } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { View } from './view.ts';

/** Larger matrices show the classes of the worst pairs. */
const MOST_CLASSES = 60;
const MIXUPS = 12;

/** Indices of the classes to show: all of few, or those that are mixed up most. */
export function shownClasses(evaluation: Evaluation, classes: number): number[] {
  if (classes <= MOST_CLASSES) return Array.from({ length: classes }, (_, index) => index);
  const chosen = new Set<number>();
  for (const { truth, predicted } of worstMixups(evaluation.cells, classes, Infinity)) {
    if (chosen.size >= MOST_CLASSES - 1) break;
    chosen.add(truth).add(predicted);
  }
  return [...chosen].sort((a, b) => a - b);
}

export function confusionView(store: RunStore): View {
  const choice = h('select');
  const chosen = () => {
    const entries = evaluationsOf(store);
    return entries.find(({ split }) => split === choice.value) ?? entries[0] ?? null;
  };
  const chart = chartBox((theme) => matrixChart(chosen(), store.facts?.classes ?? null, theme));
  const list = h('div');
  const field = labelled('Images', choice);
  const element = section(
    'confusion',
    'Confusion',
    'Each row is a true class, shaded by the share of its images. Point at a cell for its count.',
    h('div', { class: 'bar' }, field),
    h('div', { class: 'columns' }, chart.element, list),
  );
  const draw = () => {
    const evaluation = chosen();
    element.hidden = evaluation === null;
    if (evaluation === null || store.facts === null) return;
    replace(list, h('h3', {}, 'Most frequent mix-ups'), mixupTable(evaluation, store.facts.classes));
    chart.update();
  };
  choice.addEventListener('change', draw);
  return {
    element,
    reads: ['facts', 'epochs'],
    update() {
      const names = evaluationsOf(store).map(({ split }) => split);
      const has = [...choice.options].map(({ value }) => value);
      if (names.join() !== has.join()) replace(choice, ...optionsOf(names));
      field.hidden = names.length < 2;
      draw();
    },
  };
}

/** The evaluations of a run that ended; until then the latest one. */
function evaluationsOf({ facts, latest }: RunStore): readonly Evaluation[] {
  const finished = facts?.evaluations ?? [];
  return finished.length > 0 ? finished : latest === null ? [] : [latest];
}

/** The matrix of an evaluation; null when there is nothing to draw. */
function matrixChart(
  evaluation: Evaluation | null,
  classes: readonly string[] | null,
  theme: ChartTheme,
): Chart | null {
  if (evaluation === null || classes === null) return null;
  const { split, cells } = evaluation;
  const shown = shownClasses(evaluation, classes.length);
  const part = shown.length < classes.length ? `, ${shown.length} classes that are mixed up most` : '';
  return confusionChart({ title: `Confusion on ${split}${part}`, classes, cells, shown }, theme);
}

function mixupTable({ cells }: Evaluation, classes: readonly string[]): HTMLElement {
  const rows = worstMixups(cells, classes.length, MIXUPS).map(({ truth, predicted, images, share }) => [
    { text: classes[truth] ?? '?' },
    { text: classes[predicted] ?? '?' },
    { text: count(images), isNumber: true },
    { text: percent(share), isNumber: true, share },
  ]);
  return rows.length === 0
    ? h('p', { class: 'note' }, 'No mistakes.')
    : table('Most frequent mix-ups', ['class', 'taken for', 'images', 'of its images'], rows);
}
