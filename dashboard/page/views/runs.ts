/** The list of runs: filtered, sorted, chosen to be compared; comparisons and studies; and a form for a new run. */
import { count, duration, NO_VALUE, percent, plural } from '../../../report/format.ts';
import type { RunList, RunSummary } from '../../model/run-model.ts';
import { h, labelled, replace, section, tableCell } from '../dom.ts';
import { keepFocus, sortableHeads, type Sorting, turnSorting } from '../sortable-table.ts';
import { post } from '../source.ts';
import { statePill } from './overview.ts';

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

export function runsPage(mayAct: boolean): RunsPage {
  const state = {
    sort: 'startedAt' as SortKey,
    isDown: true,
    list: null as RunList | null,
    chosen: new Set<string>(),
  };
  const filter = h('input', { type: 'search', placeholder: 'name, method or state' });
  const holder = h('div');
  const studies = h('div');
  const told = h('p', { class: 'note', role: 'status' });
  const compareLink = h('a', { class: 'button', href: '#/' }, 'Compare');
  const draw = () => {
    const { list } = state;
    if (list === null) return;
    const matching = matchingRuns(list, filter.value, state);
    told.textContent = describeList(list, matching.length);
    const table = list.runs.length > 0 && runTable(matching.slice(0, MOST_ROWS), state, sortBy, choose);
    keepFocus(holder, () => replace(holder, table));
    replace(studies, ...studyLinks(list));
    compareLink.hidden = state.chosen.size < 2;
    compareLink.textContent = `Compare ${state.chosen.size} runs`;
    compareLink.href = `#/compare/${[...state.chosen].map(encodeURIComponent).join(',')}`;
  };
  const sortBy = (key: SortKey) => {
    turnSorting(state, key, key !== 'id' && key !== 'state');
    draw();
  };
  const choose = (id: string, isChosen: boolean) => {
    if (isChosen && state.chosen.size < MOST_COMPARED) state.chosen.add(id);
    else state.chosen.delete(id);
    draw();
  };
  filter.addEventListener('input', draw);
  const element = h(
    'div',
    { class: 'run' },
    h('header', { class: 'run-head' }, h('h1', {}, 'Runs')),
    h('div', { class: 'bar' }, labelled('Filter', filter), compareLink, told),
    holder,
    studies,
    ...(mayAct ? [startForm()] : []),
  );
  return {
    element,
    show(list) {
      state.list = list;
      draw();
    },
  };
}

function runTable(
  runs: readonly RunSummary[],
  state: Sorting<SortKey> & { chosen: ReadonlySet<string> },
  sortBy: (key: SortKey) => void,
  choose: (id: string, isChosen: boolean) => void,
): HTMLElement {
  const head = sortableHeads(COLUMNS, state, sortBy);
  const rows = runs.map((run) => {
    const box = h('input', {
      type: 'checkbox',
      'data-key': `choose-${run.id}`,
      'aria-label': `choose ${run.id} to compare`,
      checked: state.chosen.has(run.id),
    });
    box.addEventListener('change', () => choose(run.id, box.checked));
    const what = h(
      'span',
      { class: 'note' },
      ` ${run.method}${run.seed === null ? '' : `, seed ${run.seed}`}`,
    );
    const name = h(
      'th',
      { scope: 'row' },
      h('a', { href: runHref(run.id) }, run.id === '.' ? run.name : run.id),
      what,
    );
    const pill = h('td', { title: run.reason }, statePill(run.state));
    const cells = [
      {
        text: `${count(run.epoch)}${run.plannedEpochs === null ? '' : ` of ${count(run.plannedEpochs)}`}`,
        isNumber: true,
      },
      { text: percent(run.balancedAccuracy), isNumber: true, share: run.balancedAccuracy },
      { text: percent(run.worstRecall), isNumber: true, share: run.worstRecall },
      { text: percent(run.accuracy), isNumber: true },
      { text: duration(run.seconds), isNumber: true },
      { text: run.startedAt?.slice(0, 16).replace('T', ' ') ?? NO_VALUE, isNumber: true },
    ];
    return h('tr', {}, h('td', {}, box), name, pill, ...cells.map((cell) => tableCell(cell, false)));
  });
  const first = h('th', { scope: 'col' }, h('span', { class: 'hidden' }, 'compare'));
  const inner = h(
    'table',
    { class: 'runs' },
    h('caption', { class: 'hidden' }, 'Runs'),
    h('thead', {}, h('tr', {}, first, ...head)),
    h('tbody', {}, ...rows),
  );
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Runs: table' }, inner);
}

/** A run from a configuration, as config.json of another run holds it. */
function startForm(): HTMLElement {
  const id = h('input', {
    required: true,
    pattern: '[a-z]([a-z0-9-]{0,61}[a-z0-9])?',
    placeholder: 'my-run',
  });
  const config = h('textarea', {
    rows: 8,
    required: true,
    spellcheck: 'false',
    placeholder: '{ "method": "iois", "data": { "source": "/data/photos" } }',
  });
  const told = h('p', { role: 'alert' });
  const form = h(
    'form',
    { class: 'start' },
    labelled('Name', id),
    labelled('Configuration (JSON)', config),
    h('button', { type: 'submit' }, 'Start run'),
    told,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    told.textContent = '';
    void (async () => {
      try {
        const made = await post<{ id: string }>('/api/runs', {
          id: id.value,
          config: JSON.parse(config.value) as object,
        });
        location.hash = runHref(made.id);
      } catch (thrown) {
        told.textContent = (thrown as Error).message;
      }
    })();
  });
  return section(
    'start',
    'Start a run',
    '',
    h('details', {}, h('summary', {}, 'From a configuration'), form),
  );
}
