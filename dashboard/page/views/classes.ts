/** Recall and quota of each class: a table to sort and filter, courses over the epochs, and one class in detail. */
import { heatMap } from '../../../report/charts/heat-map.ts';
import { lineChart } from '../../../report/charts/line-chart.ts';
import { supportOf } from '../../../report/charts/confusion-chart.ts';
import { count, percent, plural } from '../../../report/format.ts';
import { proportionInterval } from '../../../report/statistics.ts';
import { chartBox } from '../chart-box.ts';
import { button, type Cell, h, labelled, replace, section, tableCell } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import { keepFocus, sortableHeads, type Sorting, turnSorting } from '../sortable-table.ts';
import type { View } from './view.ts';

type Theme = Parameters<typeof heatMap>[1];

type SortKey = 'name' | 'images' | 'recall' | 'quota' | 'change';

interface ClassRow {
  readonly index: number;
  readonly name: string;
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
const MAP_ROWS = 40;
const MAP_COLUMNS = 160;

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
  const detail = chartBox((theme) => recallCourse(store, chosen(), theme));
  const quotas = chartBox((theme) => quotaCourse(store, chosen(), theme));
  const maps = [
    chartBox((theme) => courseMap(store, shown, 'recall', theme)),
    chartBox((theme) => courseMap(store, shown, 'quota', theme)),
  ];

  const draw = () => {
    const matching = matchingRows(store, state);
    const pages = Math.max(1, Math.ceil(matching.length / PAGE_ROWS));
    state.page = Math.min(state.page, pages - 1);
    shown = matching.slice(state.page * PAGE_ROWS, (state.page + 1) * PAGE_ROWS);
    keepFocus(holder, () => replace(holder, classTable(shown, state, sortBy, choose)));
    replace(
      pager,
      h('span', { class: 'note' }, plural(matching.length, 'class')),
      pages > 1 && button('Previous', () => turn(-1), { disabled: state.page === 0 }),
      pages > 1 && h('span', {}, `page ${state.page + 1} of ${pages}`),
      pages > 1 && button('Next', () => turn(1), { disabled: state.page === pages - 1 }),
    );
    for (const box of [detail, quotas, ...maps]) box.update();
  };
  const sortBy = (key: SortKey) => {
    turnSorting(state, key, key === 'quota' || key === 'change');
    draw();
  };
  const choose = (index: number) => {
    state.chosen = index;
    draw();
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
  return {
    element: section(
      'classes',
      'Classes',
      NOTE,
      h('div', { class: 'bar' }, labelled('Filter', filter), pager),
      h('div', { class: 'columns' }, holder, h('div', {}, detail.element, quotas.element)),
      h('div', { class: 'figures wide' }, ...maps.map((box) => box.element)),
    ),
    reads: ['facts', 'epochs'],
    update: draw,
  };
}

/** Recall of a class over the epochs; null when there is nothing to draw. */
function recallCourse({ history, facts }: RunStore, index: number | undefined, theme: Theme) {
  if (index === undefined || history.epoch.length === 0) return null;
  const pick = (values: readonly (readonly (number | null)[] | null)[]) =>
    values.map((vector) => vector?.[index] ?? null);
  const series = [
    { name: 'recall on validation', values: pick(history.recall), colour: 0 },
    { name: 'accuracy that steers', values: pick(history.accuracy), colour: 2 },
  ].filter(({ values }) => values.some((value) => value !== null));
  const axes = { x: history.epoch, xLabel: 'epoch', yLabel: 'share of its images' };
  const title = facts?.classes[index] ?? '';
  return lineChart({ title, ...axes, kind: 'rate', domain: 'zero', series }, theme);
}

/** Quota of a class over the epochs; null when there is nothing to draw. */
function quotaCourse({ history, facts }: RunStore, index: number | undefined, theme: Theme) {
  if (index === undefined || history.quota.every((entry) => entry === null)) return null;
  const values = history.quota.map((vector) => vector?.[index] ?? null);
  const axes = { x: history.epoch, xLabel: 'epoch', yLabel: 'synthetic images asked for' };
  const title = `${facts?.classes[index] ?? ''}: quota`;
  const series = [{ name: 'quota', values, colour: 4 }];
  return lineChart({ title, ...axes, kind: 'count', domain: 'zero', series }, theme);
}

function classTable(
  rows: readonly ClassRow[],
  state: Sorting<SortKey> & { chosen: number | null },
  sortBy: (key: SortKey) => void,
  choose: (index: number) => void,
): HTMLElement {
  const head = sortableHeads(COLUMNS, state, sortBy);
  const most = rows.reduce((largest, { quota }) => Math.max(largest, quota ?? 0), 1);
  const body = rows.map((row) => {
    const isChosen = (state.chosen ?? rows[0]?.index) === row.index;
    const name = button(row.name, () => choose(row.index), {
      class: 'link',
      'aria-pressed': isChosen ? 'true' : 'false',
      'data-key': `class-${row.index}`,
    });
    const cells: Cell[] = [
      { text: count(row.images), isNumber: true },
      { text: percent(row.recall) + row.interval, isNumber: true, share: row.recall },
      { text: count(row.quota), isNumber: true, share: row.quota === null ? null : row.quota / most },
      {
        text:
          row.change === null ? '–' : `${row.change < 0 ? '−' : '+'}${Math.abs(row.change * 100).toFixed(1)}`,
        isNumber: true,
      },
    ];
    return h(
      'tr',
      { class: isChosen ? 'chosen' : null },
      h('th', { scope: 'row' }, name),
      ...cells.map((cell) => tableCell(cell, false)),
    );
  });
  const inner = h(
    'table',
    {},
    h('caption', { class: 'hidden' }, 'Classes'),
    h('thead', {}, h('tr', {}, ...head)),
    h('tbody', {}, ...body),
  );
  return h(
    'div',
    { class: 'scroll tall', tabindex: 0, role: 'region', 'aria-label': 'Classes: table' },
    inner,
  );
}

function courseMap(
  { history, facts }: RunStore,
  shown: readonly ClassRow[],
  what: 'recall' | 'quota',
  theme: Theme,
) {
  const vectors = history[what];
  if (history.epoch.length < 2 || vectors.every((entry) => entry === null)) return null;
  const rows = shown.slice(0, MAP_ROWS);
  const step = Math.ceil(history.epoch.length / MAP_COLUMNS);
  const at = history.epoch.map((_, i) => i).filter((i) => (history.epoch.length - 1 - i) % step === 0);
  const cells = at.flatMap((i, column) =>
    rows.flatMap(({ index }, row): [number, number, number][] => {
      const value = vectors[i]?.[index];
      return typeof value === 'number' ? [[column, row, value]] : [];
    }),
  );
  const more =
    shown.length > rows.length || (facts?.classes.length ?? 0) > shown.length
      ? `, ${plural(rows.length, 'class')} of the table`
      : '';
  const title = what === 'recall' ? `Recall on validation${more}` : `Quota${more}`;
  const summary = `${title}: a row a class, a column an epoch, from ${history.epoch[0]} to ${history.epoch.at(-1)}; darker is more.`;
  const columns = at.map((i) => String(history.epoch[i]));
  return heatMap(
    {
      title,
      summary,
      rows: rows.map(({ name }) => name),
      columns,
      cells,
      kind: what === 'recall' ? 'rate' : 'count',
      xLabel: 'epoch',
      rowHeight: 18,
    },
    theme,
  );
}
