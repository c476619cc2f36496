/** A study as a table for spreadsheets: one line a run. */
import { MEASURE_NAMES, type StudyResults } from './study-results.ts';

/** One line a run, with every measure; RFC 4180. */
export function studyCsv(results: StudyResults): string {
  const head = [
    ...[
      'row',
      'pair',
      'seed',
      'status',
      ...MEASURE_NAMES,
      ...results.classes.map((name) => `recall ${name}`),
    ],
    ...[
      'optimizerSteps',
      'labellerSteps',
      'syntheticImages',
      'seconds',
      'weightsDigest',
      'content',
      'code',
      'dir',
      'reason',
    ],
  ];
  const lines = results.rows.flatMap(({ runs }) =>
    runs.map((run) => [
      ...[run.row, run.pair, run.seed, run.status, ...MEASURE_NAMES.map((name) => run.measures[name])],
      ...results.classes.map((_, c) => run.perClassRecall[c] ?? null),
      ...[
        run.optimizerSteps,
        run.labellerSteps,
        run.syntheticImages,
        run.seconds,
        run.weightsDigest,
        run.content,
        run.code,
      ],
      ...[run.dir, run.reason],
    ]),
  );
  return [head, ...lines].map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('');
}

/** Quoted where it must be; a text that a spreadsheet would run as a formula is made a text. */
function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
