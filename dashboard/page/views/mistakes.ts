/** Images that the classifier got wrong, the worst first. */
import { count, percent } from '../../../report/format.ts';
import type { Mistakes } from '../../model/mistakes.ts';
import { h, labelled, optionsOf, replace, section, table } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { Source } from '../source.ts';
import type { View } from './view.ts';

export function mistakesView(store: RunStore, source: Source, id: string): View {
  const split = h('select');
  const label = h('select');
  const holder = h('div');
  const element = section(
    'mistakes',
    'Worst mistakes',
    'Images that were given another class, the least probability for the right one first.',
    h('div', { class: 'bar' }, labelled('Images', split), labelled('True class', label)),
    holder,
  );
  let asked = '';
  const draw = async () => {
    const key = `${split.value} ${label.value}`;
    asked = key;
    try {
      const found = await source.mistakes(id, split.value, label.value);
      if (asked === key) replace(holder, ...listOf(found));
    } catch (thrown) {
      replace(holder, h('p', { class: 'note' }, (thrown as Error).message));
    }
  };
  for (const field of [split, label]) field.addEventListener('change', () => void draw());
  let shown = '';
  return {
    element,
    reads: ['facts'],
    update() {
      const { facts } = store;
      const splits = facts?.predictions ?? [];
      element.hidden = splits.length === 0;
      const key = JSON.stringify([splits, facts?.classes, facts?.state]);
      if (key === shown || splits.length === 0) return;
      shown = key;
      replace(split, ...optionsOf(splits));
      replace(label, h('option', { value: '' }, 'all'), ...optionsOf(facts?.classes ?? []));
      void draw();
    },
  };
}

function listOf({ images, mistakes, worst }: Mistakes): HTMLElement[] {
  const summary = h(
    'p',
    { class: 'note' },
    `${count(mistakes)} of ${count(images)} images were given another class${worst.length < mistakes ? `; the worst ${worst.length}` : ''}.`,
  );
  const rows = worst.map(({ image, label, predicted, right, wrong }) => [
    { text: image },
    { text: label },
    { text: predicted },
    { text: percent(right), isNumber: true, share: right },
    { text: percent(wrong), isNumber: true, share: wrong },
  ]);
  const list = table(
    'Worst mistakes',
    ['image', 'true class', 'taken for', 'probability of the true class', 'of the other'],
    rows,
  );
  list.classList.add('tall');
  return [summary, list];
}
