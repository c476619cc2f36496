/** Runs of a coordinator as text for people: a table of many, the details of one, a line about its state. */
import { plainText } from '../../common/plain-text.ts';
import { fromStruct, fromTimestamp } from '../../coordinator/api/struct.ts';
import type { Metrics__Output } from '../../gen/ballast/v1/Metrics.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import { duration, percent } from '../../report/format.ts';
import { type Column, formatAge, formatLabels, indented, renderTable } from '../base/table.ts';

const DIGEST_SHOWN = 12;

/** `running` of `STATE_RUNNING`. */
export function stateOf({ state }: Pick<Run__Output, 'state'>): string {
  return state.replace(/^STATE_/, '').toLowerCase();
}

/** The id in `runs/{run}`. */
export function runIdOf({ name }: Pick<Run__Output, 'name'>): string {
  return name.slice(name.indexOf('/') + 1);
}

export function hasEnded({ state }: Pick<Run__Output, 'state'>): boolean {
  return state === 'STATE_SUCCEEDED' || state === 'STATE_FAILED' || state === 'STATE_CANCELLED';
}

/** A line for each run, and below it why it waits or failed. */
export function runTable(runs: readonly Run__Output[], nowMs: number): string {
  const columns: readonly Column<Run__Output>[] = [
    { title: 'RUN', text: runIdOf },
    { title: 'STATE', text: stateOf },
    { title: 'EPOCH', text: ({ epoch, epochs }) => `${epoch}/${epochs}`, alignsRight: true },
    { title: 'METHOD', text: methodOf },
    { title: 'WEIGHT', text: ({ weight }) => String(weight), alignsRight: true },
    { title: 'BALANCED', text: (run) => balancedOf(run), alignsRight: true },
    {
      title: 'AGE',
      text: ({ createTime }) => formatAge(fromTimestamp(createTime) ?? '', nowMs),
      alignsRight: true,
    },
    { title: 'LABELS', text: ({ labels }) => plainText(formatLabels(labels)) },
  ];
  return renderTable(columns, runs, (run) =>
    run.state === 'STATE_FAILED' || run.state === 'STATE_QUEUED' ? plainText(run.reason) : '',
  );
}

/** Everything about a run but its configuration. */
export function runDetails(run: Run__Output, nowMs: number): string {
  const created = fromTimestamp(run.createTime);
  const started = fromTimestamp(run.startTime);
  const ended = fromTimestamp(run.endTime);
  const facts: readonly (readonly [string, string])[] = [
    ['run', runIdOf(run)],
    ['state', `${stateOf(run)}${run.reason === '' ? '' : `: ${run.reason}`}`],
    ['method', methodOf(run)],
    ['epochs', `${run.epoch} of ${run.epochs}`],
    ['weight', String(run.weight)],
    ['labels', formatLabels(run.labels)],
    ['classes', run.classes.join(', ')],
    ['created', created === null ? '' : `${created}, ${formatAge(created, nowMs)} ago`],
    ['started', started ?? ''],
    ['ended', ended === null ? '' : `${ended}${tookOf(started, ended)}`],
    ['validation', qualityOf(run.validation)],
    ['test', qualityOf(run.test)],
    ['recall', recallOf(run)],
    ['weights', run.weightsDigest],
  ];
  return facts
    .filter(([, text]) => text !== '')
    .map(([name, text]) => `${`${name}:`.padEnd(12)}${hanging(plainText(text))}\n`)
    .join('');
}

/** `runs/a succeeded: balanced accuracy 71.2%, accuracy 80.0% (test); weights 1a2b3c4d5e6f`. */
export function endLine(run: Run__Output): string {
  const state = stateOf(run);
  const head = `${run.name} ${state}`;
  if (run.state !== 'STATE_SUCCEEDED')
    return plainText(run.reason.startsWith(state) ? `${run.name} ${run.reason}` : `${head}: ${run.reason}`);
  const [metrics, split] = run.test === null ? [run.validation, 'validation'] : [run.test, 'test'];
  const quality = metrics === null ? 'not evaluated' : `${qualityOf(metrics)} (${split})`;
  return plainText(`${head}: ${quality}; weights ${run.weightsDigest.slice(0, DIGEST_SHOWN)}`);
}

function methodOf({ config }: Run__Output): string {
  const method = fromStruct(config, 'config')['method'];
  return typeof method === 'string' ? plainText(method) : '';
}

function balancedOf({ test, validation }: Run__Output): string {
  const metrics = test ?? validation;
  return metrics === null ? '' : percent(metrics.balancedAccuracy);
}

function qualityOf(metrics: Metrics__Output | null): string {
  if (metrics === null) return '';
  return `balanced accuracy ${percent(metrics.balancedAccuracy)}, accuracy ${percent(metrics.accuracy)}`;
}

function recallOf({ classes, test, validation }: Run__Output): string {
  const metrics = test ?? validation;
  if (metrics === null) return '';
  return classes.map((name, c) => `${name} ${percent(metrics.perClassRecall[c])}`).join(', ');
}

function tookOf(started: string | null, ended: string): string {
  return started === null ? '' : `, after ${duration((Date.parse(ended) - Date.parse(started)) / 1000)}`;
}

/** Long texts continue on further lines. */
function hanging(text: string): string {
  const [first = '', ...others] = indented(text);
  return [first.trim(), ...others.map((line) => `          ${line}`)].join('\n');
}
