/** One picture of a run for a terminal, as lines. Pure: progress, time and size in, text out. */

import { plainText } from '../../common/plain-text.ts';
import { count, decimal, duration, NO_VALUE, percent, plural } from '../format.ts';
import type { Preparation, RunEvent } from '../records.ts';
import { epochsDone, type RunProgress, secondsLeft } from './run-progress.ts';
import { preparationRate, qualityLine, troubleLine } from './lines.ts';
import { bar, displayWidth, fitColumns, padColumns, type Paint } from './text.ts';

export interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

type Started = Extract<RunEvent, { readonly type: 'started' }>;

const STAGE = 11;
const FIXED_LINES = 9;
/** Below this number of columns, classes are listed without bars. */
const NARROWEST_TABLE = 40;

/** Writes one line of a stage: a bar of what is done, the numbers, and facts. */
type StageWriter = (name: string, done: number, total: number, facts: string) => string;

function stageWriter(size: FrameSize, paint: Paint): StageWriter {
  const width = Math.max(8, Math.min(40, Math.floor((size.columns - STAGE) * 0.5)));
  const room = Math.max(0, size.columns - STAGE - width - 1);
  return (name, done, total, facts) => {
    const text = ` ${count(done)}/${count(total)}${facts === '' ? '' : `  ${facts}`}`;
    const share = total > 0 ? done / total : 0;
    return padColumns(name, STAGE) + paint('cyan', bar(share, width, '░')) + fitColumns(text, room);
  };
}

function stageLines(progress: RunProgress, started: Started, write: StageWriter, nowMs: number): string[] {
  const { preparation, training } = progress;
  const left = secondsLeft(progress, nowMs);
  const time = left === null ? '' : `about ${duration(left)} left`;
  const loss = training === null ? '' : `loss ${decimal(training.loss)}`;
  return [
    write('epochs', epochsDone(progress), started.epochs, time),
    ...synthesisLine(progress, write),
    ...(preparation === null ? [] : [preparationLine(preparation, write)]),
    write('training', training?.step ?? 0, training?.steps ?? 0, loss),
  ];
}

/** The images being made, or those to be made next; nothing in a run that makes none. */
function synthesisLine({ synthesis, quota, record }: RunProgress, write: StageWriter): string[] {
  if (synthesis !== null) {
    const rate = `${decimal(synthesis.imagesPerSecond, 1)} images/s`;
    return [write('synthesis', synthesis.done, synthesis.total, rate)];
  }
  if (quota === null || (record?.syntheticImages ?? 0) === 0) return [];
  const wanted = quota.quota.reduce((sum, images) => sum + images, 0);
  return [write('synthesis', 0, wanted, '')];
}

function preparationLine(preparation: Preparation, write: StageWriter): string {
  const { activity, done, total } = preparation;
  return write(activity, done, total, preparationRate(preparation));
}

interface ClassRow {
  readonly name: string;
  readonly images: number;
  readonly accuracy: number | null;
  readonly quota: number | null;
}

function classRows(progress: RunProgress, started: Started): ClassRow[] {
  const accuracy =
    progress.quota?.accuracy ??
    progress.record?.samplingAccuracy ??
    progress.record?.validation?.perClassRecall;
  return started.classes.map((name, index) => ({
    name: plainText(name),
    images: started.classCounts[index] ?? 0,
    accuracy: accuracy?.[index] ?? null,
    quota: progress.quota?.quota[index] ?? null,
  }));
}

/** At most `most` rows: all, or those of least accuracy in the order of the classes. */
function chosenRows(rows: readonly ClassRow[], most: number): readonly ClassRow[] {
  if (rows.length <= most) return rows;
  const worst = [...rows].sort((a, b) => (a.accuracy ?? 0) - (b.accuracy ?? 0) || a.images - b.images);
  const chosen = new Set(worst.slice(0, Math.max(0, most - 1)));
  return rows.filter((row) => chosen.has(row));
}

function classLines(rows: readonly ClassRow[], size: FrameSize, paint: Paint): string[] {
  const shown = chosenRows(rows, Math.max(3, size.rows - FIXED_LINES));
  const name = Math.min(
    Math.max(5, ...shown.map((row) => displayWidth(row.name))),
    Math.max(8, Math.floor(size.columns * 0.25)),
  );
  if (size.columns < NARROWEST_TABLE) {
    return shown.map((row) => fitColumns(`${padColumns(percent(row.accuracy), 7)}${row.name}`, size.columns));
  }
  const withQuota = rows.some((row) => row.quota !== null);
  const room = size.columns - name - 8 - 9 - (withQuota ? 8 : 0);
  const width = Math.max(0, Math.min(30, Math.floor(room / (withQuota ? 2 : 1))));
  const largest = Math.max(1, ...rows.map((row) => row.quota ?? 0));
  const head =
    padColumns('class', name) +
    padColumns('real', 8, 'left') +
    '  ' +
    padColumns('accuracy', width + 7) +
    (withQuota ? '  quota' : '');
  const lines = shown.map((row) => {
    const accuracy = padColumns(row.accuracy === null ? NO_VALUE : percent(row.accuracy), 7, 'left');
    const quota = withQuota
      ? `  ${paint('yellow', bar((row.quota ?? 0) / largest, width))}${padColumns(count(row.quota), 6, 'left')}`
      : '';
    return `${padColumns(row.name, name)}${padColumns(count(row.images), 8, 'left')}  ${paint('blue', bar(row.accuracy ?? 0, width))}${accuracy}${quota}`;
  });
  const hidden = rows.length - shown.length;
  const more = hidden > 0 ? [paint('dim', `… and ${plural(hidden, 'class')} doing better`)] : [];
  return [paint('dim', fitColumns(head, size.columns)), ...lines, ...more];
}

/** The live view at `nowMs`; every line fits `size.columns`, and all of them `size.rows` where that is 12 or more. */
export function runFrame(progress: RunProgress, size: FrameSize, paint: Paint, nowMs: number): string[] {
  const { started, record, trouble } = progress;
  const write = stageWriter(size, paint);
  if (started === null) {
    const { preparation } = progress;
    return [
      preparation === null ? fitColumns('starting …', size.columns) : preparationLine(preparation, write),
    ];
  }
  const elapsed = duration((nowMs - progress.startedAtMs) / 1000);
  const title = `${plainText(started.method)}, seed ${started.seed}: epoch ${Math.min(progress.epoch, started.epochs)} of ${started.epochs}, ${elapsed}`;
  const lines = [
    paint('bold', fitColumns(title, size.columns)),
    ...stageLines(progress, started, write, nowMs),
    ...classLines(classRows(progress, started), size, paint),
  ];
  if (record !== null)
    lines.push(fitColumns(`after epoch ${record.epoch}: ${qualityLine(record)}`, size.columns));
  if (trouble !== null) lines.push(paint('red', fitColumns(troubleLine(trouble), size.columns)));
  return lines;
}
