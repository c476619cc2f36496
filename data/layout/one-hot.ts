/**
 * Labels as one column a class (ISIC's ground truth, Roboflow's `_classes.csv`): a run of neighbouring columns of
 * zeros and ones of which every row has exactly one 1. Where only a part of the run is such, or two are, a UserError asks.
 */
import { UserError } from '../../common/errors.ts';
import { listed, type Table } from '../table.ts';

const ONES = new Set(['1', '1.0', 'true']);
const ZEROS = new Set(['0', '0.0', 'false']);
const SAMPLE = 200;
/** A run that is longer is taken whole or not at all. */
const MAX_RUN = 200;

export function isOne(value: string): boolean {
  return ONES.has(value.toLowerCase());
}

/**
 * Positions of the class columns; null when there are none. `taken` are columns with another meaning. At most a tenth
 * of the rows may have no 1. Throws UserError when rows have several.
 */
export function findOneHot(table: Table, taken: readonly (number | null | undefined)[]): number[] | null {
  const runs = binaryRuns(table, taken);
  const whole = runs.filter((run) => fits(table, run));
  if (whole.length === 1) return whole[0]!;
  const parts = whole.length > 0 ? whole : runs.flatMap((run) => longestFit(table, run) ?? []);
  const [first] = parts;
  if (first)
    throw new UserError(
      `${table.file}: columns of 0 and 1 could hold the labels: ${parts.map((part) => names(table, part)).join('; or ')}; name the right ones with --csv-label ${first.map((i) => table.columns[i]).join(',')}`,
    );
  const many = runs.find((run) => run.length > 2 && table.rows.some(({ values }) => ones(values, run) > 1));
  const row = many && table.rows.find(({ values }) => ones(values, many) > 1);
  if (!many || !row) return null;
  throw new UserError(
    `${table.file} line ${row.line}: has several labels (columns ${names(table, many)}); only one label an image is supported: name one column with --csv-label`,
  );
}

function binaryRuns(table: Table, taken: readonly (number | null | undefined)[]): number[][] {
  const runs: number[][] = [[]];
  table.columns.forEach((_, index) => {
    const isBinary =
      !taken.includes(index) &&
      table.rows.every(({ values }) => isOne(values[index]!) || ZEROS.has(values[index]!.toLowerCase()));
    if (isBinary) runs.at(-1)!.push(index);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  });
  return runs.filter((run) => run.length > 1);
}

/** The longest part of `run` that fits all rows. */
function longestFit(table: Table, run: readonly number[]): [number[]] | null {
  const step = Math.max(1, Math.floor(table.rows.length / SAMPLE));
  const sample = { ...table, rows: table.rows.filter((_, i) => i % step === 0) };
  const shortest = run.length > MAX_RUN ? run.length : 2;
  for (let length = run.length; length >= shortest; length--)
    for (let from = 0; from + length <= run.length; from++) {
      const part = run.slice(from, from + length);
      if (fits(sample, part) && fits(table, part)) return [part];
    }
  return null;
}

function fits({ rows }: Table, part: readonly number[]): boolean {
  let without = 0;
  for (const { values } of rows) {
    const count = ones(values, part);
    if (count > 1) return false;
    if (count === 0) without++;
  }
  return without <= rows.length / 10;
}

function ones(values: readonly string[], part: readonly number[]): number {
  return part.reduce((sum, index) => sum + (isOne(values[index]!) ? 1 : 0), 0);
}

function names(table: Table, part: readonly number[]): string {
  return listed(part.map((index) => table.columns[index]!));
}
