/** Results of a study as they come: results.json and results.csv are written again after every run. */
import { join } from 'node:path';
import { writeFileAtomic } from '../../common/files.ts';
import type { StudyConfig } from '../../config/study-config.ts';
import {
  compareRows,
  emptyResult,
  finishedResult,
  studyCsv,
  type StudyResults,
  type StudyRunResult,
} from '../../report/study-results.ts';
import type { KeyedRun, RunEnding } from './execute-study.ts';

export class StudyRecord {
  readonly #study: StudyConfig;
  readonly #runs: readonly KeyedRun[];
  readonly #dir: string;
  readonly #title: string;
  readonly #endings = new Map<KeyedRun, RunEnding>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(study: StudyConfig, runs: readonly KeyedRun[], dir: string, title: string) {
    this.#study = study;
    this.#runs = runs;
    this.#dir = dir;
    this.#title = title;
  }

  async add(run: KeyedRun, ending: RunEnding): Promise<void> {
    this.#endings.set(run, ending);
    await this.write();
  }

  /** One after the other, whoever calls. */
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

  results(): StudyResults {
    const { rows, split } = this.#study;
    const reference = this.#study.reference ?? rows[0]!.name;
    const lines = this.#runs.map((run) => this.#lineOf(run));
    const first = [...this.#endings.values()].find((ending) => ending.status === 'finished')?.report;
    return {
      format: 1,
      title: this.#title,
      split,
      reference,
      classes: first?.classes ?? [],
      classCounts: first?.classCounts ?? [],
      rows: compareRows(
        rows.map(({ name, settings }) => ({ name, settings, runs: lines.filter(({ row }) => row === name) })),
        reference,
      ),
      warnings: doubts(lines),
    };
  }

  #lineOf(run: KeyedRun): StudyRunResult {
    const { row, pair, seed, key } = run;
    const ending = this.#endings.get(run);
    const place = {
      row,
      pair,
      seed,
      dir: ending?.dir ?? '',
      content: key.content,
      code: key.code.slice(0, 8),
    };
    if (ending?.status === 'finished') return finishedResult({ ...place, code: ending.code }, ending.report);
    return emptyResult({ ...place, status: ending ? 'failed' : 'missing', reason: ending?.reason ?? '' });
  }
}

function doubts(lines: readonly StudyRunResult[]): string[] {
  const warnings: string[] = [];
  const failed = lines.filter(({ status }) => status === 'failed');
  const missing = lines.filter(({ status }) => status === 'missing').length;
  for (const { row, seed, reason } of failed) warnings.push(`${row}, seed ${seed} failed: ${reason}`);
  if (missing > 0) warnings.push(`${missing} of ${lines.length} runs are not done yet`);
  const codes = new Set(lines.filter(({ status }) => status === 'finished').map(({ code }) => code));
  if (codes.size > 1)
    warnings.push(`runs of ${codes.size} versions of the code stand side by side: ${[...codes].join(', ')}`);
  const steps = new Set(lines.filter(({ status }) => status === 'finished').map((run) => run.optimizerSteps));
  if (steps.size > 1) warnings.push(`optimiser steps differ: ${[...steps].sort((a, b) => a - b).join(', ')}`);
  return warnings;
}
