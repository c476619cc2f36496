/** Recall and quota of each class: a table to sort and filter, courses over the epochs, and one class in detail. */
import { supportOf } from '../../../report/charts/confusion-chart.ts';
import { count, percent, plural } from '../../../report/format.ts';
import { proportionInterval } from '../../../report/statistics.ts';
import { button, type Cell, h, labelled, replace, scrollingTable, section, tableCell } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import { keepFocus, sortableHeads, type Sorting, turnSorting } from '../sortable-table.ts';
import { classCharts, type NamedClass } from './class-charts.ts';
import type { View } from './view.ts';

type SortKey = 'name' | 'images' | 'recall' | 'quota' | 'change';

interface ClassRow extends NamedClass {
  readonly images: number | null;
  readonly recall: number | null;
  readonly interval: string;
  readonly quota: number | null;
  /** Of recall on validation, since the first epoch. */
  readonly change: number | null;
}

const COLUMNS: readonly { readonly key: SortKey; readonly title: string }[] = [
  { key: 'name', title: 'class' },
  { key: 'images', title: 'training images' },
  { key: 'recall', title: 'recall' },
  { key: 'quota', title: 'last quota' },
  { key: 'change', title: 'change, points' },
];
const NOTE =
  'Adaptive sampling gives the next images to the classes that the classifier still gets wrong. In brackets: 95% interval from the number of images (Wilson). Choose a class to see its course.';
const PAGE_ROWS = 50;

function rowsOf({ facts, evaluation, history }: RunStore): ClassRow[] {
  const classes = facts?.classes ?? [];
  const support = supportOf(evaluation?.cells ?? [], classes.length);
  const quota = history.quota.findLast((entry) => entry !== null) ?? null;
  const recalls = history.recall.filter((entry) => entry !== null);
  return classes.map((name, index) => {
    const recall = evaluation?.perClassRecall[index] ?? null;
    const interval = recall === null ? null : proportionInterval(recall * support[index]!, support[index]!);
    const [first, last] = [recalls[0]?.[index] ?? null, recalls.at(-1)?.[index] ?? null];
    return {
      ...{ index, name, recall },
      images: facts?.classCounts[index] ?? null,
      interval: interval === null ? '' : ` (${percent(interval.low, 0)} – ${percent(interval.high, 0)})`,
      quota: quota?.[index] ?? null,
      change: recalls.length > 1 && first !== null && last !== null ? last - first : null,
    };
  });
}

const low = (value: number | null) => value ?? -Infinity;

function compare(key: SortKey, a: ClassRow, b: ClassRow): number {
  return key === 'name' ? a.name.localeCompare(b.name) : low(a[key]) - low(b[key]);
}

interface ListState extends Sorting<SortKey> {
  /** Part of a class's name. */
  filter: string;
  page: number;
  /** Index of the class whose course is shown; null for the first one of the page. */
  chosen: number | null;
}

/** The classes that the filter lets through, as they are sorted. */
function matchingRows(store: RunStore, { filter, sort, isDown }: ListState): ClassRow[] {
  const wanted = filter.toLowerCase();
  const sign = isDown ? -1 : 1;
  return rowsOf(store)
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((a, b) => sign * compare(sort, a, b) || a.index - b.index);
}

export function classesView(store: RunStore): View {
  const state: ListState = { sort: 'images', isDown: false, filter: '', page: 0, chosen: null };
  const holder = h('div');
  const filter = h('input', { type: 'search', placeholder: 'name of a class' });
  const pager = h('div', { class: 'pager' });
  let shown: ClassRow[] = [];
  const chosen = () => state.chosen ?? shown[0]?.index;
  const { courses, maps } = classCharts(store, chosen, () => shown);
  const draw = () => {
    const matching = matchingRows(store, state);
    const pages = Math.max(1, Math.ceil(matching.length / PAGE_ROWS));
    state.page = Math.min(state.page, pages - 1);
    shown = matching.slice(state.page * PAGE_ROWS, (state.page + 1) * PAGE_ROWS);
    keepFocus(holder, () => replace(holder, classTable(shown, state, draw)));
    const note = h('span', { class: 'note' }, plural(matching.length, 'class'));
    replace(pager, note, ...pageButtons(state.page, pages, turn));
    for (const box of [...courses, ...maps]) box.update();
  };
  const turn = (by: number) => {
    state.page += by;
    draw();
  };
  filter.addEventListener('input', () => {
    state.filter = filter.value;
    state.page = 0;
    draw();
  });
  const element = section(
    'classes',
    'Classes',
    NOTE,
    h('div', { class: 'bar' }, labelled('Filter', filter), pager),
    h('div', { class: 'columns' }, holder, h('div', {}, ...courses.map((box) => box.element))),
    h('div', { class: 'figures wide' }, ...maps.map((box) => box.element)),
  );
  return { element, reads: ['facts', 'epochs'], update: draw };
}

/** Buttons to the pages before and after; none for a single page. */
function pageButtons(page: number, pages: number, turn: (by: number) => void): HTMLElement[] {
  if (pages === 1) return [];
  return [
    button('Previous', () => turn(-1), { disabled: page === 0 }),
    h('span', {}, `page ${page + 1} of ${pages}`),
    button('Next', () => turn(1), { disabled: page === pages - 1 }),
  ];
}

/** Clicks change `state`, then `redraw`. */
function classTable(rows: readonly ClassRow[], state: ListState, redraw: () => void): HTMLElement {
  const sortBy = (key: SortKey) => {
    turnSorting(state, key, key === 'quota' || key === 'change');
    redraw();
  };
  const choose = (index: number) => {
    state.chosen = index;
    redraw();
  };
  const head = sortableHeads(COLUMNS, state, sortBy);
  const most = rows.reduce((largest, { quota }) => Math.max(largest, quota ?? 0), 1);
  const chosen = state.chosen ?? rows[0]?.index;
  const body = rows.map((row) => {
    const isChosen = chosen === row.index;
    const name = button(row.name, () => choose(row.index), {
      class: 'link',
      'aria-pressed': isChosen ? 'true' : 'false',
      'data-key': `class-${row.index}`,
    });
    return h(
      'tr',
      { class: isChosen ? 'chosen' : null },
      h('th', { scope: 'row' }, name),
      ...classCells(row, most).map((cell) => tableCell(cell, false)),
    );
  });
  const element = scrollingTable('Classes', h('tr', {}, ...head), body);
  element.classList.add('tall');
  return element;
}

/** The text beside a class's name; `most` is the largest quota. */
function classCells({ images, recall, interval, quota, change }: ClassRow, most: number): Cell[] {
  const points = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value * 100).toFixed(1)}`;
  return [
    { text: count(images), isNumber: true },
    { text: percent(recall) + interval, isNumber: true, share: recall },
    { text: count(quota), isNumber: true, share: quota === null ? null : quota / most },
    { text: change === null ? '–' : points(change), isNumber: true },
  ];
}
