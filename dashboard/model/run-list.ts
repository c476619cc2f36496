/**
 * The runs in a folder: every folder in it, or in one of those, that holds a run or a study. Summaries are
 * kept as long as their files stay the same.
 */
import { readdir, realpath } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { errorCode, UserError } from '../../common/errors.ts';
import { versionOf } from '../../common/files.ts';
import { readJson } from './folder-facts.ts';
import type { RunList, RunSummary, StudySummary } from './run-model.ts';
import { RunReader } from './run-reader.ts';

const DEEPEST = 3;
const MOST_FOLDERS = 4000;
/** Folders of a run, which hold no runs. */
const SKIPPED = new Set(['checkpoints', 'grids', 'logs', 'model', 'samples', 'node_modules']);
const WATCHED = [
  'metrics.jsonl',
  'events.jsonl',
  'report.json',
  'run.json',
  'run.lock',
  'config.json',
  'results.json',
];
/** A summary is made again after so long, for runs whose process died. */
const MOST_AGE_MS = 15_000;

interface Known {
  readonly version: string;
  readonly atMs: number;
  readonly run: RunSummary | null;
  readonly study: StudySummary | null;
}

export class RunFolders {
  readonly root: string;
  readonly #known = new Map<string, Known>();
  #listing: Promise<RunList> | null = null;

  constructor(root: string) {
    this.root = resolve(root);
  }

  /** The folder of an id, always inside the root. @throws UserError when there is none. */
  async dirOf(id: string): Promise<string> {
    const dir = resolve(this.root, id);
    const missing = () => new UserError(`no run '${id}' here`);
    try {
      const [root, real] = await Promise.all([realpath(this.root), realpath(dir)]);
      if (real !== root && !real.startsWith(root + sep)) throw missing();
      return real;
    } catch (thrown) {
      if (
        ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE', 'ELOOP'].includes(
          errorCode(thrown) ?? '',
        )
      )
        throw missing();
      throw thrown;
    }
  }

  /** All runs, the youngest first. Calls at one time share one reading. */
  list(): Promise<RunList> {
    this.#listing ??= this.#list().finally(() => (this.#listing = null));
    return this.#listing;
  }

  async #list(): Promise<RunList> {
    const { folders, isCut } = await foldersIn(this.root);
    const known: Known[] = [];
    for (const dir of folders) known.push(await this.#look(dir));
    for (const dir of this.#known.keys()) if (!folders.includes(dir)) this.#known.delete(dir);
    const runs = known.flatMap(({ run }) => run ?? []);
    const byAge = (a: RunSummary, b: RunSummary) =>
      (b.startedAt ?? '').localeCompare(a.startedAt ?? '') || a.id.localeCompare(b.id);
    return { runs: runs.sort(byAge), studies: known.flatMap(({ study }) => study ?? []), isCut };
  }

  async #look(dir: string): Promise<Known> {
    const version = versionOf(WATCHED.map((name) => join(dir, name)));
    const before = this.#known.get(dir);
    const isSettled = before?.run?.state !== 'running' || Date.now() - before.atMs < MOST_AGE_MS;
    if (before?.version === version && isSettled) return before;
    const id = relative(this.root, dir) || '.';
    const known = { version, atMs: Date.now(), ...(await summarize(dir, id)) };
    this.#known.set(dir, known);
    return known;
  }
}

async function foldersIn(root: string): Promise<{ folders: string[]; isCut: boolean }> {
  const folders = [root];
  let level = [root];
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth++) {
    const next: string[] = [];
    for (const dir of level) {
      for (const name of await subfolders(dir)) {
        if (folders.length >= MOST_FOLDERS) return { folders, isCut: true };
        folders.push(join(dir, name));
        next.push(join(dir, name));
      }
    }
    level = next;
  }
  return { folders, isCut: false };
}

/** Links are not followed. */
async function subfolders(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED.has(entry.name))
      .map(({ name }) => name);
  } catch {
    return []; // removed meanwhile, or not ours to read
  }
}

async function summarize(dir: string, id: string): Promise<Pick<Known, 'run' | 'study'>> {
  const present = new Set(await readdir(dir).catch(() => []));
  if (present.has('results.json')) {
    const study = await readJson(dir, 'results.json');
    const title = typeof study?.['title'] === 'string' ? study['title'] : id;
    return { run: null, study: { id, title } };
  }
  const isRun =
    present.has('run.json') ||
    (present.has('config.json') &&
      (present.has('events.jsonl') || present.has('metrics.jsonl') || present.has('run.lock')));
  return { run: isRun ? await summaryOf(new RunReader(dir, id)) : null, study: null };
}

export async function summaryOf(reader: RunReader): Promise<RunSummary | null> {
  await reader.refresh();
  const { facts, latest, columns } = reader;
  if (facts === null) return null;
  const { id, name, method, seed, state, reason, plannedEpochs, startedAt, endedAt } = facts;
  const shown = facts.evaluations[0] ?? latest;
  const recalls = (shown?.perClassRecall ?? []).filter((value) => value !== null);
  const span =
    startedAt !== null && endedAt !== null ? (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 : null;
  return {
    ...{ id, name, method, seed, state, reason, plannedEpochs, startedAt },
    epoch: columns.epoch.at(-1) ?? 0,
    balancedAccuracy: shown?.scalars['balancedAccuracy'] ?? null,
    accuracy: shown?.scalars['accuracy'] ?? null,
    worstRecall: recalls.length > 0 ? recalls.reduce((least, value) => Math.min(least, value)) : null,
    split: shown?.split ?? null,
    seconds: facts.seconds ?? span,
  };
}
