/**
 * The worst mistakes of a run on a split, from `predictions-SPLIT.csv` (image, label, probability of each class): images
 * that were given another class, the least probability for the right one first.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse';
import { errorCode, UserError } from '../../common/errors.ts';

const SPLIT = /^[a-z]{1,20}$/;
/** Mistakes that are kept; a page shows the first of them. */
const MOST_MISTAKES = 1000;
const PAGE = 100;

export interface Mistake {
  readonly image: string;
  readonly label: string;
  readonly predicted: string;
  /** Of the right class, and of the predicted one. */
  readonly right: number;
  readonly wrong: number;
}

export interface Mistakes {
  readonly split: string;
  readonly images: number;
  readonly mistakes: number;
  readonly worst: readonly Mistake[];
}

/** @throws UserError when there are no predictions of that split */
export async function readMistakes(dir: string, split: string, query: URLSearchParams): Promise<Mistakes> {
  if (!SPLIT.test(split)) throw new UserError(`no split '${split}'`);
  const label = query.get('label');
  const all = await scan(join(dir, `predictions-${split}.csv`), split, label === '' ? null : label);
  return { ...all, worst: all.worst.slice(0, PAGE) };
}

async function scan(path: string, split: string, only: string | null): Promise<Mistakes> {
  let classes: readonly string[] | null = null;
  let [images, mistakes] = [0, 0];
  let worst: Mistake[] = [];
  const rows = parse({ relax_column_count: true });
  createReadStream(path)
    .on('error', (error) => rows.destroy(error))
    .pipe(rows);
  try {
    for await (const row of rows as AsyncIterable<string[]>) {
      const [image = '', label = '', ...numbers] = row;
      if (classes === null) {
        classes = numbers;
        continue;
      }
      if (only !== null && label !== only) continue;
      images++;
      const mistake = mistakeIn(image, label, numbers, classes);
      if (mistake === null) continue;
      mistakes++;
      worst.push(mistake);
      if (worst.length >= 2 * MOST_MISTAKES) worst = sorted(worst);
    }
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT')
      throw new UserError(`the run keeps no predictions of ${split}`, { cause: thrown });
    throw new UserError(`${path} is damaged`, { cause: thrown });
  }
  return { split, images, mistakes, worst: sorted(worst) };
}

function mistakeIn(
  image: string,
  label: string,
  numbers: readonly string[],
  classes: readonly string[],
): Mistake | null {
  const probabilities = numbers.map(Number);
  const best = probabilities.reduce((at, value, i) => (value > (probabilities[at] ?? -1) ? i : at), 0);
  // A label may be written as the class's name, or as its index.
  const truth = classes.indexOf(label) >= 0 ? classes.indexOf(label) : Number(label);
  if (best === truth || classes[truth] === undefined) return null;
  return {
    image,
    label: classes[truth],
    predicted: classes[best] ?? '?',
    right: probabilities[truth] ?? 0,
    wrong: probabilities[best] ?? 0,
  };
}

function sorted(mistakes: readonly Mistake[]): Mistake[] {
  return [...mistakes].sort((a, b) => a.right - b.right || b.wrong - a.wrong).slice(0, MOST_MISTAKES);
}
