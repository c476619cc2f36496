/** Runs with viewers: each is read again when its folder changes, once for all viewers. */
import type { Log } from '../../common/log.ts';
import type { RunEvent } from '../../report/records.ts';
import type { RunFolders } from '../model/run-list.ts';
import type { Progress } from '../model/run-model.ts';
import { type Cursor, RunReader } from '../model/run-reader.ts';
import type { EventStream } from './replies.ts';

/** Interval at which folders are checked while somebody watches; an update arrives well within a second. */
const LOOK_MS = 250;
/** How often the list of runs is. */
const LIST_MS = 1000;

interface Watched {
  readonly reader: RunReader;
  readonly streams: Map<EventStream, Cursor>;
}

export class LiveRuns {
  readonly #folders: RunFolders;
  readonly #log: Log;
  readonly #watched = new Map<string, Watched>();
  readonly #lists = new Map<EventStream, string>();
  readonly #timers: NodeJS.Timeout[];

  constructor(folders: RunFolders, log: Log) {
    this.#folders = folders;
    this.#log = log;
    this.#timers = [repeat(() => this.#lookAll(), LOOK_MS), repeat(() => this.#tellLists(), LIST_MS)];
  }

  /** Sends a stream the updates of the run, all of it first. @throws UserError when there is no such run */
  async watch(id: string, open: () => EventStream): Promise<void> {
    const dir = await this.#folders.dirOf(id);
    let watched = this.#watched.get(dir);
    if (watched === undefined) {
      watched = { reader: new RunReader(dir, id), streams: new Map() };
      this.#watched.set(dir, watched);
    }
    const stream = open();
    watched.streams.set(stream, watched.reader.newCursor());
    await this.#look(dir, watched);
  }

  async watchList(open: () => EventStream): Promise<void> {
    this.#lists.set(open(), '');
    await this.#tellLists();
  }

  forget(stream: EventStream): void {
    this.#lists.delete(stream);
    for (const [dir, { streams }] of this.#watched) {
      streams.delete(stream);
      if (streams.size === 0) this.#watched.delete(dir);
    }
  }

  /** Progress within an epoch, which no file tells, from a run of this process. */
  tell(id: string, event: RunEvent): void {
    const watched = [...this.#watched.values()].find(({ reader }) => reader.id === id);
    const progress = progressOf(event);
    if (watched === undefined || progress === null) return;
    watched.reader.tellProgress(progress);
    this.#send(watched);
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const stream of this.#lists.keys()) stream.end();
    for (const { streams } of this.#watched.values()) for (const stream of streams.keys()) stream.end();
  }

  async #lookAll(): Promise<void> {
    await Promise.all([...this.#watched].map(([dir, watched]) => this.#look(dir, watched)));
  }

  async #look(dir: string, watched: Watched): Promise<void> {
    try {
      await watched.reader.refresh();
      this.#send(watched);
    } catch (thrown) {
      this.#log.warn('a run cannot be read now', { dir, error: thrown });
    }
  }

  #send({ reader, streams }: Watched): void {
    for (const [stream, cursor] of streams) {
      if (!stream.isReady) continue; // the next update includes it
      const update = reader.update(cursor);
      if (update !== null) stream.send(update);
    }
  }

  async #tellLists(): Promise<void> {
    if (this.#lists.size === 0) return;
    const list = await this.#folders.list();
    const text = JSON.stringify(list);
    for (const [stream, told] of this.#lists) {
      if (told === text || !stream.isReady) continue;
      this.#lists.set(stream, text);
      stream.send(list);
    }
  }
}

function progressOf(event: RunEvent): Progress | null {
  const { type } = event;
  if (type === 'synthesis')
    return {
      kind: 'synthesis',
      epoch: event.epoch,
      done: event.done,
      total: event.total,
      value: event.imagesPerSecond,
    };
  if (type === 'training')
    return { kind: 'training', epoch: event.epoch, done: event.step, total: event.steps, value: event.loss };
  if (type === 'preparation') {
    const { activity, done, total, seconds } = event;
    return { kind: activity, epoch: 0, done, total, value: done / seconds };
  }
  return null;
}

/** Never two at once. */
function repeat(work: () => Promise<void>, everyMs: number): NodeJS.Timeout {
  let isBusy = false;
  return setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void work().finally(() => (isBusy = false));
  }, everyMs).unref();
}
