/** The page's knowledge of one run. Views draw from it; it notifies them once a frame, however many updates arrive. */
import {
  appendColumns,
  appendHistory,
  emptyColumns,
  emptyHistory,
  type Evaluation,
  type EventLine,
  historyLimit,
  type Progress,
  type RunFacts,
  type RunUpdate,
  thinHistory,
  type WorkSpan,
} from '../model/run-model.ts';

/** Topics of an update; `epochs` includes histories, pictures and the last evaluation, `events` includes spans. */
export type Part = 'facts' | 'epochs' | 'events' | 'progress';

function newsOf(update: RunUpdate, before: Progress | null): Part[] {
  if (update.isWhole) return ['facts', 'epochs', 'events', 'progress'];
  const { facts, epochs, events, spans, progress } = update;
  return [
    ...(facts === null ? [] : (['facts'] as const)),
    ...(epochs.epoch.length === 0 ? [] : (['epochs'] as const)),
    ...(events.length + spans.length === 0 ? [] : (['events'] as const)),
    ...(progress === null && before === null ? [] : (['progress'] as const)),
  ];
}

const MOST_EVENTS = 2000;
const MOST_SPANS = 6000;

export class RunStore {
  facts: RunFacts | null = null;
  epochs = emptyColumns();
  history = emptyHistory();
  grids: number[] = [];
  latest: Evaluation | null = null;
  events: EventLine[] = [];
  spans: WorkSpan[] = [];
  progress: Progress | null = null;
  readonly #listeners = new Set<(news: ReadonlySet<Part>) => void>();
  #news = new Set<Part>();

  apply(update: RunUpdate): void {
    const news = newsOf(update, this.progress);
    if (update.isWhole) {
      this.epochs = emptyColumns();
      this.history = emptyHistory();
      [this.grids, this.events, this.spans, this.latest] = [[], [], [], null];
    }
    if (update.facts !== null) this.facts = update.facts;
    appendColumns(this.epochs, update.epochs);
    appendHistory(this.history, update.history);
    const limit = historyLimit(this.facts?.classes.length ?? 1);
    if (this.history.epoch.length > 2 * limit) thinHistory(this.history, limit);
    this.grids.push(...update.grids);
    this.latest = update.latest ?? this.latest;
    this.events = [...this.events, ...update.events].slice(-MOST_EVENTS);
    this.spans = [...this.spans, ...update.spans].slice(-MOST_SPANS);
    this.progress = update.progress;
    this.#tell(news);
  }

  /** The result if there is one, otherwise the last epoch's on validation. */
  get evaluation(): Evaluation | null {
    return this.facts?.evaluations[0] ?? this.latest;
  }

  onChange(listener: (news: ReadonlySet<Part>) => void): void {
    this.#listeners.add(listener);
  }

  #tell(parts: readonly Part[]): void {
    const isDue = this.#news.size > 0;
    for (const part of parts) this.#news.add(part);
    if (isDue || parts.length === 0) return;
    requestAnimationFrame(() => {
      const news = this.#news;
      this.#news = new Set();
      for (const listener of this.#listeners) listener(news);
    });
  }
}
