/** Activity of a run: the time line, events, and the current processes. */
import { type TimeSpan, timeLine } from '../../../report/charts/time-line.ts';
import type { ClusterRow, ClusterView } from '../../model/cluster-view.ts';
import type { EventLine, WorkSpan } from '../../model/run-model.ts';
import { chartBox } from '../chart-box.ts';
import { h, labelled, replace, section, table } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { Source } from '../source.ts';
import type { View } from './view.ts';

const KINDS: readonly WorkSpan['kind'][] = ['synthesis', 'training', 'evaluation', 'made again'];
const WINDOWS = { '2 minutes': 120, '10 minutes': 600, '1 hour': 3600, everything: Infinity } as const;
const SHOWN_EVENTS = 200;

export function timeLineView(store: RunStore): View {
  const choice = h(
    'select',
    {},
    ...Object.keys(WINDOWS).map((name) =>
      h('option', { value: name, selected: name === '10 minutes' }, name),
    ),
  );
  const chart = chartBox((theme) => {
    const seconds = WINDOWS[choice.value as keyof typeof WINDOWS];
    const endMs = store.spans.reduce((latest, { toMs }) => Math.max(latest, toMs), 0);
    const spans = store.spans.filter(({ toMs }) => endMs - toMs <= seconds * 1000);
    const lanes = [...new Set(spans.map(({ lane }) => lane))].sort();
    const bars = spans.map(({ lane, fromMs, toMs, kind, text }): TimeSpan => ({
      lane: lanes.indexOf(lane),
      fromMs,
      toMs,
      text,
      kind: KINDS.indexOf(kind),
    }));
    return timeLine({ title: 'Workers and trainer', lanes, kinds: [...KINDS], spans: bars }, theme);
  });
  choice.addEventListener('change', () => chart.update());
  const element = section(
    'time',
    'Time line',
    'Which process was at which shard, and when the trainer trained. Times are UTC.',
    h('div', { class: 'bar' }, labelled('The last', choice)),
    chart.element,
  );
  return {
    element,
    reads: ['events'],
    update() {
      element.hidden = store.spans.length === 0;
      chart.update();
    },
  };
}

export function eventsView(store: RunStore): View {
  const filter = h('input', { type: 'search', placeholder: 'topic or text' });
  const holder = h('div', { class: 'tall-holder' });
  const element = section(
    'events',
    'Events',
    '',
    h('div', { class: 'bar' }, labelled('Filter', filter)),
    holder,
  );
  let drawn: unknown = null;
  const draw = (isForced: boolean) => {
    element.hidden = store.events.length === 0;
    if (!isForced && drawn === store.events.at(-1)) return;
    drawn = store.events.at(-1);
    const wanted = filter.value.toLowerCase();
    const rows = [];
    for (let i = store.events.length - 1; i >= 0 && rows.length < SHOWN_EVENTS; i--) {
      const event = store.events[i]!;
      const text = factsOf(event);
      if (!`${event.topic} ${text}`.toLowerCase().includes(wanted)) continue;
      rows.push([{ text: event.time.slice(11, 23) }, { text: event.topic }, { text }]);
    }
    const list = table('Events, the newest first', ['time', 'topic', 'what'], rows);
    list.classList.add('tall');
    replace(holder, list);
  };
  filter.addEventListener('input', () => draw(true));
  return { element, reads: ['events'], update: () => draw(false) };
}

function factsOf({ payload }: EventLine): string {
  return Object.entries(payload)
    .filter(([name]) => name !== 'type')
    .map(
      ([name, value]) =>
        `${name} ${typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}`,
    )
    .join(', ');
}

const LOOK_MS = 2000;

/** Nodes, actors and objects; each row says why it waits. */
export function clusterView(source: Source, id: string, isWanted: () => boolean): View {
  const holder = h('div');
  const element = section(
    'processes',
    'Processes',
    'Nodes, actors and objects that are there now, and why something waits.',
    holder,
  );
  element.hidden = true;
  let told = '';
  const look = async () => {
    const view = isWanted() ? await source.cluster(id).catch(() => null) : null;
    element.hidden = view === null;
    const text = JSON.stringify(view);
    if (view === null || text === told) return;
    told = text;
    replace(holder, ...clusterTables(view));
  };
  let isKnown = false;
  return {
    element,
    reads: ['facts'],
    update() {
      if (isKnown || !source.isLive) return;
      isKnown = true;
      void look();
      const timer = setInterval(() => {
        if (!element.isConnected) return clearInterval(timer);
        if (!document.hidden) void look();
      }, LOOK_MS);
    },
  };
}

export function clusterTables({ nodes, actors, objects }: ClusterView): HTMLElement[] {
  return [...rowsTable('Nodes', nodes), ...rowsTable('Actors', actors), ...rowsTable('Objects', objects)];
}

function rowsTable(title: string, rows: readonly ClusterRow[]): HTMLElement[] {
  if (rows.length === 0) return [];
  const facts = [...new Set(rows.flatMap((row) => Object.keys(row.facts)))];
  const body = rows.map((row) => [
    { text: row.name },
    { text: row.state },
    { text: row.reason },
    ...facts.map((name) => ({ text: row.facts[name] ?? '' })),
  ]);
  return [h('h3', {}, title), table(title, ['name', 'state', 'why', ...facts], body)];
}
