/** Studies and comparisons of a folder: their results.json. */
import { UserError } from '../../common/errors.ts';
import type { StudyResults } from '../../report/study-results.ts';
import { readJson } from './folder-facts.ts';

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
