/** What the page has been told of one run. Views draw from it; it tells them once a frame, however many updates come. */
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
  readonly #listeners = new Set<() => void>();
  #isDue = false;

  apply(update: RunUpdate): void {
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
    this.#tell();
  }

  /** The result where there is one, else the last epoch's on validation. */
  get evaluation(): Evaluation | null {
    return this.facts?.evaluations[0] ?? this.latest;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #tell(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
