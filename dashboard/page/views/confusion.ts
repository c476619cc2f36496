/** Which class is taken for which: the matrix, and the most frequent pairs by name. */
import { confusionChart, worstMixups } from '../../../report/charts/confusion-chart.ts';
import { count, percent } from '../../../report/format.ts';
import type { Evaluation } from '../../model/run-model.ts';
import { chartBox } from '../chart-box.ts';
import { h, labelled, replace, section, table } from '../dom.ts';
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
  const entries = () => {
    const { facts, latest } = store;
    const finished = facts?.evaluations ?? [];
    return finished.length > 0 ? finished : latest === null ? [] : [latest];
  };
  const chosen = () => entries().find(({ split }) => split === choice.value) ?? entries()[0] ?? null;
  const chart = chartBox((theme) => {
    const evaluation = chosen();
    if (evaluation === null || store.facts === null) return null;
    const { classes } = store.facts;
    const shown = shownClasses(evaluation, classes.length);
    const part = shown.length < classes.length ? `, ${shown.length} classes that are mixed up most` : '';
    return confusionChart(
      { title: `Confusion on ${evaluation.split}${part}`, classes, cells: evaluation.cells, shown },
      theme,
    );
  });
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
    const { classes } = store.facts;
    const rows = worstMixups(evaluation.cells, classes.length, MIXUPS).map(
      ({ truth, predicted, images, share }) => [
        { text: classes[truth] ?? '?' },
        { text: classes[predicted] ?? '?' },
        { text: count(images), isNumber: true },
        { text: percent(share), isNumber: true, share },
      ],
    );
    replace(
      list,
      h('h3', {}, 'Most frequent mix-ups'),
      rows.length === 0
        ? h('p', { class: 'note' }, 'No mistakes.')
        : table('Most frequent mix-ups', ['class', 'taken for', 'images', 'of its images'], rows),
    );
    chart.update();
  };
  choice.addEventListener('change', draw);
  return {
    element,
    reads: ['facts', 'epochs'],
    update() {
      const names = entries().map(({ split }) => split);
      const has = [...choice.options].map(({ value }) => value);
      if (names.join() !== has.join())
        replace(choice, ...names.map((name) => h('option', { value: name }, name)));
      field.hidden = names.length < 2;
      draw();
    },
  };
}
