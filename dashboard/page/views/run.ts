/** The page of one run: its sections, and a list of them to jump to. */
import { h, setText } from '../dom.ts';
import { RunStore } from '../run-store.ts';
import type { LinkState, Source } from '../source.ts';
import { clusterView, eventsView, timeLineView } from './activity.ts';
import { classesView } from './classes.ts';
import { confusionView } from './confusion.ts';
import { detailsView } from './details.ts';
import { imagesView } from './images.ts';
import { logsView } from './logs.ts';
import { mistakesView } from './mistakes.ts';
import { curvesView, headerView, type RunButtons } from './overview.ts';
import type { View } from './view.ts';

export interface RunPage {
  readonly element: HTMLElement;
  readonly store: RunStore;
}

export function runPage(
  source: Source,
  id: string,
  buttons: RunButtons | null,
  onLink: (state: LinkState) => void,
  signal: AbortSignal,
): RunPage {
  const store = new RunStore();
  const views = viewsOf(store, source, id, buttons);
  const nav = h('nav', { class: 'sections', 'aria-label': 'Sections of the run' });
  const [head, ...sections] = views.map((view) => view.element);
  const element = h('div', { class: 'run' }, head, nav, ...sections);
  let listed = '';
  store.onChange((news) => {
    for (const view of views) if (view.reads.some((part) => news.has(part))) view.update();
    const shown = sections.filter(({ hidden }) => !hidden);
    const names = shown.map((section) => section.id).join();
    if (names !== listed) nav.replaceChildren(...shown.map(sectionLink));
    listed = names;
    const { facts } = store;
    if (facts !== null)
      setText(
        document.querySelector('title')!,
        `${facts.method}${facts.seed === null ? '' : `, seed ${facts.seed}`} – Ballast`,
      );
  });
  source.watchRun(id, (update) => store.apply(update), onLink, signal);
  return { element, store };
}

/** The head of the page, then its sections in their order. */
function viewsOf(store: RunStore, source: Source, id: string, buttons: RunButtons | null): readonly View[] {
  return [
    headerView(store, buttons),
    curvesView(store),
    classesView(store),
    imagesView(store, source, id),
    confusionView(store),
    mistakesView(store, source, id),
    timeLineView(store),
    eventsView(store),
    logsView(store, source, id),
    clusterView(source, id, () => store.facts?.state === 'running' || store.facts?.state === 'queued'),
    detailsView(store),
  ];
}

/** Jumps without changing the address, which names the run. */
function sectionLink(target: HTMLElement): HTMLElement {
  const title = target.querySelector('h2')?.textContent ?? '';
  const jump = (event: Event) => {
    event.preventDefault();
    target.scrollIntoView();
    target.querySelector('h2')?.setAttribute('tabindex', '-1');
    target.querySelector('h2')?.focus({ preventScroll: true });
  };
  return h('a', { href: `#${target.id}`, onclick: jump }, title);
}
