/** Where the page has its data from: the server that serves it, or the file that it is. */
import type { ClusterView } from '../model/cluster-view.ts';
import type { LogPiece } from '../model/log-tail.ts';
import type { Mistakes } from '../model/mistakes.ts';
import { epochPicture, nearestPicture } from '../../report/pictures/picture-names.ts';
import type { GridFrame, GridIndex, RunList, RunUpdate } from '../model/run-model.ts';
import type { RowPictures, StudyView } from '../model/studies.ts';
import type { StudyResults } from '../../report/study-results.ts';
import type { Embedded } from './embedded.ts';

export interface Session {
  readonly isKnown: boolean;
  /** May start, stop and resume runs. */
  readonly mayAct: boolean;
  readonly mayDelete: boolean;
  readonly hasCluster: boolean;
}

export interface StudyShown {
  readonly results: StudyResults;
  readonly pictures: readonly RowPictures[];
}

/** The connection as the page shows it. */
export type LinkState = 'live' | 'lost' | 'refused';

export interface Source {
  readonly isLive: boolean;
  /** Calls back with all of the run, then with what is new, until the signal is aborted. */
  watchRun(
    id: string,
    onUpdate: (update: RunUpdate) => void,
    onLink: (state: LinkState) => void,
    signal: AbortSignal,
  ): void;
  frame(id: string, epoch: number): Promise<GridFrame | null>;
  realImages(id: string): Promise<GridFrame | null>;
  mistakes(id: string, split: string, label: string): Promise<Mistakes>;
  log(id: string, name: string, before: number | null): Promise<LogPiece | null>;
  cluster(id: string): Promise<ClusterView | null>;
  study(id: string): Promise<StudyShown>;
}

/** A refusal of the server, in its words. */
export class Failed extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(path, { ...init, credentials: 'same-origin' });
  const answer = (await response.json().catch(() => ({}))) as Answer & { error?: string };
  if (!response.ok) throw new Failed(response.status, answer.error ?? response.statusText);
  return answer;
}

export function post<Answer>(path: string, value: object, method = 'POST'): Promise<Answer> {
  return ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
}

/** `./` first: a segment that is only `.` would be removed from an address. */
const pathPart = (id: string) => encodeURIComponent(`./${id}`);
export const runPath = (id: string) => `/api/runs/${pathPart(id)}`;

/** Id of a run that a study names relative to itself. */
export function runOfStudy(study: string, run: string): string {
  return study === '.' ? run : `${study}/${run}`;
}

/** Follows a stream; the browser connects again by itself, unless it was refused. */
export function follow<Message>(
  path: string,
  onMessage: (message: Message) => void,
  onLink: (state: LinkState) => void,
  signal: AbortSignal,
): void {
  const events = new EventSource(path);
  events.onopen = () => onLink('live');
  events.onmessage = ({ data }) => onMessage(JSON.parse(String(data)) as Message);
  events.onerror = () => {
    onLink(events.readyState === EventSource.CLOSED ? 'refused' : 'lost');
    if (events.readyState !== EventSource.CLOSED || signal.aborted) return;
    setTimeout(() => !signal.aborted && follow(path, onMessage, onLink, signal), 2000);
  };
  signal.addEventListener('abort', () => events.close());
}

export class LiveSource implements Source {
  readonly isLive = true;

  watchRun(
    id: string,
    onUpdate: (update: RunUpdate) => void,
    onLink: (state: LinkState) => void,
    signal: AbortSignal,
  ): void {
    follow(`${runPath(id)}/stream`, onUpdate, onLink, signal);
  }

  watchList(onList: (list: RunList) => void, onLink: (state: LinkState) => void, signal: AbortSignal): void {
    follow('/api/list', onList, onLink, signal);
  }

  async frame(id: string, epoch: number): Promise<GridFrame | null> {
    return this.#picture(id, epochPicture(epoch), epoch);
  }

  async realImages(id: string): Promise<GridFrame | null> {
    return this.#picture(id, 'real.png', 0);
  }

  async #picture(id: string, name: string, epoch: number): Promise<GridFrame | null> {
    const found = await ask<{ index: GridIndex; hasNearest: boolean } | null>(`${runPath(id)}/grids/${name}`);
    const source = `${runPath(id)}/pictures/${name}`;
    const nearest = found?.hasNearest ? nearestPicture(source) : null;
    return { epoch, source, index: found?.index ?? null, nearest };
  }

  mistakes(id: string, split: string, label: string): Promise<Mistakes> {
    return ask(`${runPath(id)}/mistakes/${split}?label=${encodeURIComponent(label)}`);
  }

  log(id: string, name: string, before: number | null): Promise<LogPiece | null> {
    return ask(
      `${runPath(id)}/logs/${encodeURIComponent(name)}${before === null ? '' : `?before=${before}`}`,
    );
  }

  cluster(id: string): Promise<ClusterView | null> {
    return ask(`${runPath(id)}/cluster`);
  }

  async study(id: string): Promise<StudyShown> {
    const { results, grids } = await ask<StudyView>(`/api/studies/${pathPart(id)}`);
    const pictures = grids.map(({ row, run, pictures: listed }) => {
      const path = `${runPath(runOfStudy(id, run))}/pictures`;
      return { row, pictures: listed.map(({ caption, name }) => ({ caption, source: `${path}/${name}` })) };
    });
    return { results, pictures };
  }
}

export class FileSource implements Source {
  readonly isLive = false;
  readonly #data: Embedded;

  constructor(data: Embedded) {
    this.#data = data;
  }

  watchRun(_id: string, onUpdate: (update: RunUpdate) => void): void {
    if (this.#data.kind === 'run') onUpdate(this.#data.update);
  }

  frame(_id: string, epoch: number): Promise<GridFrame | null> {
    return Promise.resolve(
      this.#data.kind === 'run' ? (this.#data.frames.find((frame) => frame.epoch === epoch) ?? null) : null,
    );
  }

  realImages(): Promise<GridFrame | null> {
    return Promise.resolve(this.#data.kind === 'run' ? this.#data.real : null);
  }

  mistakes(_id: string, split: string, label: string): Promise<Mistakes> {
    const found =
      this.#data.kind === 'run' ? this.#data.mistakes.find((one) => one.split === split) : undefined;
    if (found === undefined)
      return Promise.reject(new Failed(404, `this report holds no predictions of ${split}`));
    return Promise.resolve(
      label === '' ? found : { ...found, worst: found.worst.filter((one) => one.label === label) },
    );
  }

  log(): Promise<LogPiece | null> {
    return Promise.resolve(null);
  }

  cluster(): Promise<ClusterView | null> {
    return Promise.resolve(null);
  }

  study(): Promise<StudyShown> {
    return this.#data.kind === 'study'
      ? Promise.resolve(this.#data)
      : Promise.reject(new Failed(404, 'no study here'));
  }
}
