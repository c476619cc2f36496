/** Facts of a run folder apart from its epochs: state, configuration, environment, results. Refuses nothing. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorCode } from '../../common/errors.ts';
import { actorFacts, type ActorEngine } from '../../report/engines.ts';
import type { RunReport } from '../../report/records.ts';
import { evaluationOf } from './epochs.ts';
import type { Evaluation, EventLine, RunFacts, RunState } from './run-model.ts';

/** Files whose change may change the facts. */
export const FACT_FILES = [
  'config.json',
  'classes.json',
  'environment.json',
  'run.json',
  'report.json',
  'run.lock',
  'logs',
  'grids',
];

/** A holder counts in run.lock every three seconds; one that did not for so long is gone. */
const LOCK_SILENCE_MS = 20_000;

const STATES: readonly RunState[] = ['queued', 'running', 'stopped', 'succeeded', 'cancelled', 'failed'];
const MISSING = ['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'];

type Json = Readonly<Record<string, unknown>>;

/** From the events alone. */
export interface Told {
  readonly started: EventLine | null;
  readonly last: EventLine | null;
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof SyntaxError || MISSING.includes(errorCode(thrown) ?? '')) return null;
    throw thrown;
  }
}

export const readText = (dir: string, name: string) => orNull(() => readFile(join(dir, name), 'utf8'));

/** An object of a JSON file; null if there is none. */
export async function readJson(dir: string, name: string): Promise<Json | null> {
  const value = await orNull(async () => JSON.parse(await readFile(join(dir, name), 'utf8')) as unknown);
  return typeof value === 'object' && value !== null ? (value as Json) : null;
}

const names = async (dir: string) => (await orNull(() => readdir(dir))) ?? [];
const text = (value: unknown) => (typeof value === 'string' ? value : null);
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const strings = (value: unknown) => list(value).map(String);

async function isHeld(dir: string, nowMs: number): Promise<boolean> {
  const lock = await orNull(() => stat(join(dir, 'run.lock')));
  return lock !== null && nowMs - lock.mtimeMs < LOCK_SILENCE_MS;
}

async function stateOf(
  dir: string,
  record: Json | null,
  report: Json | null,
  nowMs: number,
): Promise<[RunState, string]> {
  const told = STATES.find((state) => state === record?.['state']);
  if (told !== undefined) return [told, text(record?.['reason']) ?? ''];
  if (report !== null) return ['succeeded', ''];
  if (await isHeld(dir, nowMs)) return ['running', ''];
  return ['stopped', `no process works on it; continue it with: ballast run --resume ${dir}`];
}

/** The facts of the run in `dir`. */
export async function readFacts(dir: string, id: string, told: Told, nowMs: number): Promise<RunFacts> {
  const files = await readFiles(dir);
  const { config, classes, record, report } = files;
  const settings = object(
    record?.['config'] ?? (await orNull(() => Promise.resolve(JSON.parse(config ?? '{}') as unknown))),
  );
  const starts = list(files.environment?.['starts']).map(object);
  const started = object(told.started?.payload);
  const [state, reason] = await stateOf(dir, record, report, nowMs);
  const startedAt = text(starts[0]?.['startedAt']) ?? text(record?.['startedAt']);
  const endedAt =
    text(record?.['endedAt']) ??
    (state === 'running' || state === 'queued' ? null : (told.last?.time ?? null));
  return {
    ...{ id, name: basename(dir), state, reason, startedAt, endedAt, config },
    method: text(settings['method']) ?? report?.method ?? 'run',
    seed: number(settings['seed']) ?? report?.seed ?? null,
    classes: report?.classes ?? (Array.isArray(classes) ? strings(classes) : strings(started['classes'])),
    classCounts: report?.classCounts ?? list(started['classCounts']).map((value) => number(value) ?? 0),
    plannedEpochs: number(object(settings['training'])['epochs']),
    seconds: number(report?.seconds),
    workers: number(report?.workers) ?? number(starts.at(-1)?.['workers']),
    weightsDigest: text(report?.weightsDigest),
    environment: report?.environment ?? environmentOf(starts),
    doubts: report === null ? [] : doubtsOf(report),
    logs: files.logs.filter((name) => name.endsWith('.log')).sort(),
    predictions: predictedSplits(files.all),
    hasRealImages: files.grids.includes('real.png'),
    evaluations: report === null ? [] : evaluationsOf(report),
  };
}

/** Contents of the files that tell of the run, null for each that is not there, and names of the others. */
async function readFiles(dir: string) {
  const [config, classes, environment, record, report, logs, all, grids] = await Promise.all([
    readText(dir, 'config.json'),
    readJson(dir, 'classes.json'),
    readJson(dir, 'environment.json'),
    readJson(dir, 'run.json'),
    readJson(dir, 'report.json') as Promise<(Json & Partial<RunReport>) | null>,
    names(join(dir, 'logs')),
    names(dir),
    names(join(dir, 'grids')),
  ]);
  return { config, classes, environment, record, report, logs, all, grids };
}

/** Splits whose predictions are among the files, test first. */
function predictedSplits(files: readonly string[]): string[] {
  return files
    .flatMap((name) => /^predictions-([a-z]+)\.csv$/.exec(name)?.[1] ?? [])
    .sort()
    .reverse()
    .sort((a) => (a === 'test' ? -1 : 1));
}

/** The facts of the last start, and what the actors of all starts computed on. */
function environmentOf(starts: readonly Json[]): Record<string, string> {
  const engines = starts.flatMap((start) => list(start['engines']).map(object)).map(toEngine);
  return { ...textsOf(object(starts.at(-1)?.['facts'])), ...actorFacts(engines) };
}

function toEngine({ actor, engine, choice }: Json): ActorEngine {
  return { actor: text(actor) ?? '', engine: text(engine) ?? '', choice: text(choice) ?? '' };
}

function textsOf(facts: Json): Record<string, string> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)]));
}

/** The result first: on test, on development images, on validation. */
export function evaluationsOf({ test, development, validation }: Partial<RunReport>): Evaluation[] {
  const splits = { test, development, validation };
  return Object.entries(splits).flatMap(([split, metrics]) =>
    metrics ? [evaluationOf(split, metrics)] : [],
  );
}

/** One line for each doubt about the data or the images that were made. */
export function doubtsOf(report: Partial<RunReport>): string[] {
  const images = strings(report.imageWarnings).map((warning) => `synthetic images: ${warning}`);
  const { drawingWarning } = report;
  const drawing = typeof drawingWarning === 'string' ? [drawingWarning] : [];
  return [...strings(report.dataWarnings), ...images, ...strings(report.skippedImages), ...drawing];
}
