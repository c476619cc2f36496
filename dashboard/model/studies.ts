/** Studies and comparisons of a folder: their results.json, and the pictures that their runs drew. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { nearestPicture } from '../../report/pictures/picture-names.ts';
import type { StudyResults, StudyRow } from '../../report/study-results.ts';
import { readJson } from './folder-facts.ts';
import { readGrid } from './grids.ts';

/** Pictures in `grids/` of one run of a row. */
export interface RowGrids {
  readonly row: string;
  /** Folder of the run, relative to the study's. */
  readonly run: string;
  readonly pictures: readonly { readonly caption: string; readonly name: string }[];
}

/** A study as the page's server sends it. */
export interface StudyView {
  readonly results: StudyResults;
  readonly grids: readonly RowGrids[];
}

/** Pictures of a row's images, beside real ones. Sources are addresses of PNG files. */
export interface RowPictures {
  readonly row: string;
  readonly pictures: readonly { readonly caption: string; readonly source: string }[];
}

/** @throws UserError when the folder holds none */
export async function readStudy(dir: string): Promise<StudyResults> {
  const results = (await readJson(dir, 'results.json')) as Partial<StudyResults> | null;
  if (!isStudy(results)) throw new UserError(`${dir} holds no study`);
  return results;
}

/** Whether a parsed results.json is one that this version can show. */
export function isStudy(value: Partial<StudyResults> | null): value is StudyResults {
  const hasLists = Array.isArray(value?.rows) && Array.isArray(value.classes);
  return value?.format === 1 && hasLists && value.worth !== undefined; // studies had no such field at first
}

/**
 * For each row that made images: the last ones of its first such run, real ones, and the nearest training images.
 * `dirOf` finds the folder of a run by its path in results.json; null where it may not be read.
 */
export async function listGrids(
  { rows }: StudyResults,
  dirOf: (run: string) => Promise<string | null>,
): Promise<RowGrids[]> {
  const found = await Promise.all(rows.map((row) => gridsOf(row, dirOf)));
  return found.filter((grids) => grids !== null);
}

async function gridsOf(
  { name, runs }: StudyRow,
  dirOf: (run: string) => Promise<string | null>,
): Promise<RowGrids | null> {
  const run = runs.find(({ status, syntheticImages }) => status === 'finished' && syntheticImages > 0);
  const dir = run === undefined ? null : await dirOf(run.dir);
  if (run === undefined || dir === null) return null;
  const names = await readdir(join(dir, 'grids')).catch((): string[] => []);
  const last = names
    .filter((file) => /^epoch-\d+\.png$/.test(file))
    .sort()
    .at(-1);
  if (last === undefined) return null;
  const grid = await readGrid(dir, last);
  const pictures = [{ caption: `made in epoch ${Number(/\d+/.exec(last)![0])}`, name: last }];
  if (names.includes('real.png')) pictures.push({ caption: 'real', name: 'real.png' });
  if (grid?.hasNearest)
    pictures.push({ caption: 'the nearest training image of each', name: nearestPicture(last) });
  return { row: name, run: run.dir, pictures };
}
