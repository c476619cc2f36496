/** Results of a study while it runs: results.json and results.csv are rewritten after every run. */
import { join, relative, sep } from 'node:path';
import { writeFileAtomic } from '../../common/files.ts';
import { writeStudyPage } from '../../dashboard/report.ts';
import { studyCsv } from '../../report/study-csv.ts';
import {
  compareRows,
  emptyResult,
  finishedResult,
  type StudyResults,
  type StudyRunResult,
} from '../../report/study-results.ts';
import type { RunEnding } from './execute-study.ts';
import type { StudyRun } from './plan.ts';

/** A study as its record needs it. */
export interface StudyFrame {
  readonly title: string;
  readonly rows: readonly Pick<StudyResults['rows'][number], 'name' | 'settings'>[];
  readonly reference: string;
  readonly ceiling: string | null;
  readonly worth: StudyResults['worth'];
  readonly split: StudyResults['split'];
}

export class StudyRecord {
  readonly #frame: StudyFrame;
  readonly #runs: readonly StudyRun[];
  readonly #dir: string;
  readonly #endings = new Map<StudyRun, RunEnding>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(frame: StudyFrame, runs: readonly StudyRun[], dir: string) {
    this.#frame = frame;
    this.#runs = runs;
    this.#dir = dir;
  }

  async add(run: StudyRun, ending: RunEnding): Promise<void> {
    this.#endings.set(run, ending);
    await this.write();
  }

  /** One after the other for all callers. */
  async write(): Promise<StudyResults> {
    const written = this.#writing.then(async () => {
      const results = this.results();
      await writeFileAtomic(join(this.#dir, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
      await writeFileAtomic(join(this.#dir, 'results.csv'), studyCsv(results));
      return results;
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** results.json, results.csv and report.html, whose path is `page`. */
  async finish(): Promise<{ results: StudyResults; page: string }> {
    const results = await this.write();
    return { results, page: await writeStudyPage(this.#dir, results) };
  }

  results(): StudyResults {
    const { rows, reference, ceiling, worth, title, split } = this.#frame;
    const lines = this.#runs.map((run) => this.#lineOf(run));
    const first = [...this.#endings.values()].find((ending) => ending.status === 'finished')?.report;
    return {
      format: 1,
      ...{ title, split, reference, ceiling, worth },
      classes: first?.classes ?? [],
      classCounts: first?.classCounts ?? [],
      rows: compareRows(
        rows.map(({ name, settings }) => ({ name, settings, runs: lines.filter(({ row }) => row === name) })),
        reference,
        ceiling,
        worth,
      ),
      warnings: doubts(lines),
    };
  }

  #lineOf(run: StudyRun): StudyRunResult {
    const { row, pair, seed, content } = run;
    const ending = this.#endings.get(run);
    const dir = ending === undefined || ending.dir === '' ? '' : relative(this.#dir, ending.dir);
    const place = { row, pair, seed, content, code: run.code.slice(0, 8), dir: dir.split(sep).join('/') };
    if (ending?.status === 'finished') return finishedResult({ ...place, code: ending.code }, ending.report);
    return emptyResult({ ...place, status: ending?.status ?? 'missing', reason: ending?.reason ?? '' });
  }
}

function doubts(lines: readonly StudyRunResult[]): string[] {
  const warnings: string[] = [];
  for (const { row, seed, status, reason } of lines)
    if (status === 'failed' || status === 'dropped')
      warnings.push(`${row}, seed ${seed} ${status}: ${reason}`);
  const missing = lines.filter(({ status }) => status === 'missing').length;
  if (missing > 0) warnings.push(`${missing} of ${lines.length} runs are not done yet`);
  const finished = lines.filter(({ status }) => status === 'finished');
  const codes = new Set(finished.map(({ code }) => code));
  if (codes.size > 1)
    warnings.push(`runs of ${codes.size} versions of the code stand side by side: ${[...codes].join(', ')}`);
  const steps = new Set(finished.map(({ optimizerSteps }) => optimizerSteps));
  if (steps.size > 1) warnings.push(`optimiser steps differ: ${[...steps].sort((a, b) => a - b).join(', ')}`);
  return warnings;
}
