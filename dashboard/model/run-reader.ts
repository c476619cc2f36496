/** Reads one run folder again as it grows, and sends the page what is new since the last update. */
import { join } from 'node:path';
import { versionOf } from '../../common/files.ts';
import type { EpochRecord } from '../../report/records.ts';
import { addEpoch, addToHistory, evaluationOf } from './epochs.ts';
import { FACT_FILES, readFacts } from './folder-facts.ts';
import { GrowingLines } from './lines.ts';
import {
  type ClassHistory,
  EPOCH_COLUMNS,
  emptyColumns,
  emptyHistory,
  type EpochColumns,
  type Evaluation,
  type EventLine,
  historyLimit,
  type Progress,
  type RunFacts,
  type RunUpdate,
  thinHistory,
  type WorkSpan,
} from './run-model.ts';
import { isEventLine, slimEvent, spansOf } from './spans.ts';

/** Events and spans sent to the page; older ones stay in the folder. */
const MOST_EVENTS = 1000;
const MOST_SPANS = 3000;
/** The facts are looked at again after so long even if no file changed: a dead process changes none. */
const FACTS_AGE_MS = 5000;

/** How much of a run a client has received. */
export interface Cursor {
  generation: number;
  epochs: number;
  events: number;
  spans: number;
  facts: number;
  progress: number;
}

export class RunReader {
  readonly dir: string;
  readonly id: string;
  readonly #metrics: GrowingLines;
  readonly #events: GrowingLines;
  readonly #now: () => number;
  #generation = 0;
  #version = '';
  #facts: RunFacts | null = null;
  #factsText = '';
  #factsNumber = 0;
  #factsAtMs = -Infinity;
  #columns: EpochColumns = emptyColumns();
  #history: ClassHistory = emptyHistory();
  #grids: number[] = [];
  #latest: Evaluation | null = null;
  #lines: EventLine[] = [];
  #eventsRead = 0;
  #spans: WorkSpan[] = [];
  #spansRead = 0;
  #started: EventLine | null = null;
  #progress: Progress | null = null;
  #progressNumber = 0;
  #refreshing: Promise<void> | null = null;

  constructor(dir: string, id: string, now: () => number = Date.now) {
    this.dir = dir;
    this.id = id;
    this.#now = now;
    this.#metrics = new GrowingLines(join(dir, 'metrics.jsonl'));
    this.#events = new GrowingLines(join(dir, 'events.jsonl'));
  }

  /** Reads what has changed. Calls at one time share one reading. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const files = ['metrics.jsonl', 'events.jsonl', ...FACT_FILES].map((name) => join(this.dir, name));
    const version = versionOf(files);
    const nowMs = this.#now();
    if (version === this.#version && nowMs - this.#factsAtMs < FACTS_AGE_MS) return;
    await this.#readEvents();
    await this.#readEpochs();
    const told = { started: this.#started, last: this.#lines.at(-1) ?? null };
    const facts = await readFacts(this.dir, this.id, told, nowMs);
    const text = JSON.stringify(facts);
    if (text !== this.#factsText) this.#factsNumber++;
    if (facts.state !== 'running') this.tellProgress(null);
    this.#facts = facts;
    this.#factsText = text;
    this.#factsAtMs = nowMs;
    this.#version = version;
  }

  async #readEvents(): Promise<void> {
    const { isReset, values } = await this.#events.read();
    if (isReset) {
      this.#generation++;
      [this.#lines, this.#spans, this.#started] = [[], [], null];
      [this.#eventsRead, this.#spansRead] = [0, 0];
    }
    for (const value of values) {
      if (!isEventLine(value)) continue;
      if (value.topic === 'run.started') this.#started = value;
      this.#lines.push(slimEvent(value));
      this.#eventsRead++;
      for (const span of spansOf(value)) {
        this.#spans.push(span);
        this.#spansRead++;
      }
    }
    if (this.#lines.length > 2 * MOST_EVENTS) this.#lines = this.#lines.slice(-MOST_EVENTS);
    if (this.#spans.length > 2 * MOST_SPANS) this.#spans = this.#spans.slice(-MOST_SPANS);
  }

  async #readEpochs(): Promise<void> {
    const { isReset, values } = await this.#metrics.read();
    if (isReset) {
      this.#generation++;
      [this.#columns, this.#history, this.#grids, this.#latest] = [emptyColumns(), emptyHistory(), [], null];
    }
    const records = values as readonly EpochRecord[];
    for (const record of records) {
      addEpoch(this.#columns, record);
      addToHistory(this.#history, record);
      if (record.grid !== null) this.#grids.push(record.epoch);
      const limit = historyLimit(record.quota?.length ?? record.validation?.perClassRecall.length ?? 1);
      if (this.#history.epoch.length > 2 * limit) thinHistory(this.#history, limit);
    }
    const last = records.findLast(({ validation }) => validation);
    if (last?.validation) this.#latest = evaluationOf('validation', last.validation);
    if (records.length > 0) this.tellProgress(null);
  }

  /** Where the epoch in work is, from the process that does it. */
  tellProgress(progress: Progress | null): void {
    if (progress === null && this.#progress === null) return;
    this.#progress = progress;
    this.#progressNumber++;
  }

  get facts(): RunFacts | null {
    return this.#facts;
  }

  get latest(): Evaluation | null {
    return this.#latest;
  }

  get columns(): EpochColumns {
    return this.#columns;
  }

  /** The state of a client that has received nothing yet. */
  newCursor(): Cursor {
    return { generation: -1, epochs: 0, events: 0, spans: 0, facts: -1, progress: 0 };
  }

  /** Returns the news since `cursor` and advances it; null when there is none. */
  update(cursor: Cursor): RunUpdate | null {
    const isWhole = cursor.generation !== this.#generation;
    if (isWhole)
      Object.assign(cursor, { generation: this.#generation, epochs: 0, events: 0, spans: 0, facts: -1 });
    const epochCount = this.#columns.epoch.length;
    const isNews =
      cursor.epochs < epochCount ||
      cursor.events < this.#eventsRead ||
      cursor.facts !== this.#factsNumber ||
      cursor.progress !== this.#progressNumber;
    if (!isWhole && !isNews) return null;
    const firstEpoch = this.#columns.epoch[cursor.epochs] ?? Infinity;
    const update: RunUpdate = {
      isWhole,
      facts: cursor.facts === this.#factsNumber ? null : this.#facts,
      epochs: columnsFrom(this.#columns, cursor.epochs),
      history: historyFrom(this.#history, firstEpoch),
      grids: this.#grids.filter((epoch) => epoch >= firstEpoch),
      latest: cursor.epochs < epochCount ? this.#latest : null,
      events: newest(this.#lines, this.#eventsRead - cursor.events, MOST_EVENTS),
      spans: newest(this.#spans, this.#spansRead - cursor.spans, MOST_SPANS),
      progress: this.#progress,
    };
    cursor.epochs = epochCount;
    cursor.events = this.#eventsRead;
    cursor.spans = this.#spansRead;
    cursor.facts = this.#factsNumber;
    cursor.progress = this.#progressNumber;
    return update;
  }
}

function newest<Item>(items: readonly Item[], count: number, most: number): Item[] {
  return count <= 0 ? [] : items.slice(-Math.min(count, most));
}

function columnsFrom(columns: EpochColumns, from: number): EpochColumns {
  const part = Object.fromEntries(EPOCH_COLUMNS.map((name) => [name, columns[name].slice(from)]));
  return { ...(part as unknown as EpochColumns), epoch: columns.epoch.slice(from) };
}

function historyFrom(history: ClassHistory, firstEpoch: number): ClassHistory {
  const from = history.epoch.findIndex((epoch) => epoch >= firstEpoch);
  if (from < 0) return emptyHistory();
  return {
    epoch: history.epoch.slice(from),
    recall: history.recall.slice(from),
    quota: history.quota.slice(from),
    accuracy: history.accuracy.slice(from),
  };
}
