/** The list of runs: filtered, sorted, chosen to be compared; comparisons and studies. */
import { count, duration, NO_VALUE, percent, plural } from '../../../report/format.ts';
import type { RunList, RunSummary } from '../../model/run-model.ts';
import { breakable, type Cell, h, labelled, replace, scrollingTable, tableCell } from '../dom.ts';
import { keepFocus, sortableHeads, type Sorting, turnSorting } from '../sortable-table.ts';
import { statePill } from './overview.ts';
import { startForm } from './start-form.ts';

type SortKey =
  'id' | 'state' | 'epoch' | 'balancedAccuracy' | 'worstRecall' | 'accuracy' | 'seconds' | 'startedAt';

const COLUMNS: readonly { readonly key: SortKey; readonly title: string }[] = [
  { key: 'id', title: 'run' },
  { key: 'state', title: 'state' },
  { key: 'epoch', title: 'epochs' },
  { key: 'balancedAccuracy', title: 'balanced accuracy' },
  { key: 'worstRecall', title: 'worst class' },
  { key: 'accuracy', title: 'accuracy' },
  { key: 'seconds', title: 'time' },
  { key: 'startedAt', title: 'started (UTC)' },
];
const MOST_ROWS = 300;
const MOST_COMPARED = 12;

/** The address of a run's own page. */
export const runHref = (id: string) => `#/runs/${encodeURIComponent(id)}`;

/** Words that all stand in a run's name, method, state or reason. */
function matches(run: RunSummary, words: readonly string[]): boolean {
  const text = `${run.id} ${run.method} seed${run.seed ?? ''} ${run.state} ${run.reason}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function compare(key: SortKey, a: RunSummary, b: RunSummary): number {
  const [x, y] = [a[key], b[key]];
  if (typeof x === 'number' || typeof y === 'number')
    return ((x as number | null) ?? -Infinity) - ((y as number | null) ?? -Infinity);
  return String(x ?? '').localeCompare(String(y ?? ''), undefined, { numeric: true });
}

function matchingRuns(
  { runs }: RunList,
  filter: string,
  { sort, isDown }: Readonly<Sorting<SortKey>>,
): RunSummary[] {
  const words = filter
    .toLowerCase()
    .split(' ')
    .filter((word) => word !== '');
  const sign = isDown ? -1 : 1;
  return runs
    .filter((run) => matches(run, words))
    .sort((a, b) => sign * compare(sort, a, b) || a.id.localeCompare(b.id));
}

function describeList({ runs, isCut }: RunList, matching: number): string {
  if (runs.length === 0) return 'There is no run here yet. Start one with `ballast run`.';
  const isNarrowed = matching < runs.length ? ` of ${runs.length}` : '';
  const more = matching > MOST_ROWS ? `; the first ${MOST_ROWS} are shown, filter for others` : '';
  const cut = isCut ? '. Not all folders were looked into: there are too many' : '';
  return `${plural(matching, 'run')}${isNarrowed}${more}${cut}`;
}

function studyLinks({ studies }: RunList): HTMLElement[] {
  if (studies.length === 0) return [];
  const links = studies.map(({ id, title }) =>
    h(
      'li',
      {},
      h('a', { href: `#/studies/${encodeURIComponent(id)}` }, title),
      h('span', { class: 'note' }, ` ${id}`),
    ),
  );
  return [h('h2', {}, 'Comparisons and studies'), h('ul', { class: 'links' }, ...links)];
}

export interface RunsPage {
  readonly element: HTMLElement;
  show(list: RunList): void;
}

interface ListState extends Sorting<SortKey> {
  /** Ids of the runs to compare. */
  readonly chosen: Set<string>;
}

export function runsPage(mayAct: boolean): RunsPage {
  const state: ListState = { sort: 'startedAt', isDown: true, chosen: new Set() };
  let current: RunList | null = null;
  const filter = h('input', { type: 'search', placeholder: 'name, method or state' });
  const holder = h('div');
  const studies = h('div');
  const told = h('p', { class: 'note', role: 'status' });
  const compareLink = h('a', { class: 'button', href: '#/' }, 'Compare');
  const draw = () => {
    if (current === null) return;
    const matching = matchingRuns(current, filter.value, state);
    told.textContent = describeList(current, matching.length);
    const table = current.runs.length > 0 && runTable(matching.slice(0, MOST_ROWS), state, draw);
    keepFocus(holder, () => replace(holder, table));
    replace(studies, ...studyLinks(current));
    pointTo(compareLink, state.chosen);
  };
  filter.addEventListener('input', draw);
  const element = h(
    'div',
    { class: 'run' },
    h('header', { class: 'run-head' }, h('h1', {}, 'Runs')),
    h('div', { class: 'bar' }, labelled('Filter', filter), compareLink, told),
    holder,
    studies,
    ...(mayAct ? [startForm(runHref)] : []),
  );
  return {
    element,
    show(list) {
      current = list;
      draw();
    },
  };
}

/** Leads to the comparison of the runs chosen; hidden below two. */
function pointTo(compareLink: HTMLAnchorElement, chosen: ReadonlySet<string>): void {
  compareLink.hidden = chosen.size < 2;
  compareLink.textContent = `Compare ${chosen.size} runs`;
  compareLink.href = `#/compare/${[...chosen].map(encodeURIComponent).join(',')}`;
}

/** Clicks change `state`, then `redraw`. */
function runTable(runs: readonly RunSummary[], state: ListState, redraw: () => void): HTMLElement {
  const sortBy = (key: SortKey) => {
    turnSorting(state, key, key !== 'id' && key !== 'state');
    redraw();
  };
  const choose = (id: string, isChosen: boolean) => {
    if (isChosen && state.chosen.size < MOST_COMPARED) state.chosen.add(id);
    else state.chosen.delete(id);
    redraw();
  };
  const first = h('th', { scope: 'col' }, h('span', { class: 'hidden' }, 'compare'));
  const head = h('tr', {}, first, ...sortableHeads(COLUMNS, state, sortBy));
  const rows = runs.map((run) => runRow(run, state.chosen.has(run.id), choose));
  return scrollingTable('Runs', head, rows, 'runs');
}

function runRow(
  run: RunSummary,
  isChosen: boolean,
  choose: (id: string, isChosen: boolean) => void,
): HTMLTableRowElement {
  const box = h('input', {
    type: 'checkbox',
    'data-key': `choose-${run.id}`,
    'aria-label': `choose ${run.id} to compare`,
    checked: isChosen,
  });
  box.addEventListener('change', () => choose(run.id, box.checked));
  const seed = run.seed === null ? '' : `, seed ${run.seed}`;
  const name = h(
    'th',
    { scope: 'row' },
    h('a', { href: runHref(run.id) }, ...breakable(run.id === '.' ? run.name : run.id)),
    h('span', { class: 'note' }, ...breakable(` ${run.method}${seed}`)),
  );
  const pill = h('td', { title: run.reason }, statePill(run.state));
  return h('tr', {}, h('td', {}, box), name, pill, ...runCells(run).map((cell) => tableCell(cell, false)));
}

/** The text beside a run's name and state. */
function runCells(run: RunSummary): Cell[] {
  const planned = run.plannedEpochs === null ? '' : ` of ${count(run.plannedEpochs)}`;
  return [
    { text: `${count(run.epoch)}${planned}`, isNumber: true },
    { text: percent(run.balancedAccuracy), isNumber: true, share: run.balancedAccuracy },
    { text: percent(run.worstRecall), isNumber: true, share: run.worstRecall },
    { text: percent(run.accuracy), isNumber: true },
    { text: duration(run.seconds), isNumber: true },
    { text: run.startedAt?.slice(0, 16).replace('T', ' ') ?? NO_VALUE, isNumber: true },
  ];
}
