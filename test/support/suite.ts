/** Fixtures that several system tests share: data, a prior that this project trained on them, and one whole run. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type FinishedRun, TinyRun } from './tiny-run.ts';

export {
  BUDGET,
  EPOCHS,
  eventsOf,
  type FinishedRun,
  jsonLines,
  readMetrics,
  readReport,
  SHARD_SIZE,
} from './tiny-run.ts';

/** A new empty folder that goes with the suite. */
export function newFolder(name: string): string {
  return mkdtempSync(join(inject('suiteFolder'), `${name}-`));
}

export function tinyRun(): TinyRun {
  return new TinyRun(inject('suiteFolder'));
}

/** Folder of the drawn shapes (shapes.ts). */
export function shapesData(): Promise<string> {
  return tinyRun().data();
}

/** A small prior, trained on the shapes by `ballast prior train` for a few steps. */
export function shapesPrior(): Promise<string> {
  return tinyRun().prior();
}

/** A judge of the shapes. */
export function shapesJudge(): Promise<string> {
  return tinyRun().judge();
}

/** Arguments of a tiny run; later flags win over earlier ones. */
export function runArgs(out: string, ...more: readonly string[]): Promise<string[]> {
  return tinyRun().args(out, ...more);
}

/** The undisturbed run (seed 1, two workers, `--json`) that others are compared with; done once. */
export function referenceRun(): Promise<FinishedRun> {
  return tinyRun().reference();
}
