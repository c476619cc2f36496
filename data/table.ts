/** CSV files as rows by column name, with line numbers for messages. Separator: comma, semicolon or tab. */
import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { errorCode, toError, UserError } from '../common/errors.ts';

export interface Table {
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

export interface Row {
  /** Line of the file, from 1 (the header). */
  readonly line: number;
  readonly values: readonly string[];
}

/** Reads a CSV file with a header. Throws UserError with file and line. */
export async function readTable(file: string): Promise<Table> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file}: cannot be read (${errorCode(error) ?? toError(error).message})`);
  }
  const header = text.slice(0, text.indexOf('\n') + 1 || text.length);
  const delimiter = [',', ';', '\t'].reduce((best, mark) =>
    count(header, mark) > count(header, best) ? mark : best,
  );
  let records: { record: string[]; info: { lines: number } }[];
  try {
    // With `info` a record comes with its place in the file, which the package's types do not say.
    const parsed: unknown = parse(text, {
      delimiter,
      bom: true,
      skip_empty_lines: true,
      trim: true,
      info: true,
    });
    records = parsed as typeof records;
  } catch (error) {
    throw new UserError(`${file}: not a well-formed CSV file (${toError(error).message})`);
  }
  const [first, ...rest] = records;
  if (!first || rest.length === 0) throw new UserError(`${file}: has no rows under its header`);
  return {
    file,
    columns: first.record,
    rows: rest.map(({ record, info }) => ({ line: info.lines, values: record })),
  };
}

function count(text: string, mark: string): number {
  return text.split(mark).length;
}

/**
 * The position of a column: the one named `name`, else the first of `usual` that the table has (case ignored);
 * null when none is. Throws UserError that lists the columns when `name` is not among them.
 */
export function findColumn(
  table: Table,
  name: string | null,
  usual: readonly string[],
  field: string,
): number | null {
  if (name !== null) {
    const index = table.columns.indexOf(name);
    if (index < 0)
      throw new UserError(
        `${table.file}: has no column '${name}' (${field}); its columns are ${table.columns.join(', ')}`,
      );
    return index;
  }
  const lower = table.columns.map((column) => column.toLowerCase());
  const known = usual.find((candidate) => lower.includes(candidate));
  return known === undefined ? null : lower.indexOf(known);
}
