/** CSV files as rows by column name, with line numbers for messages. Separator: comma, semicolon or tab. */
import { parse } from 'csv-parse/sync';
import { readBounded } from '../common/bounded-file.ts';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { MAX_ROW_CHARACTERS, MAX_TABLE_BYTES, MAX_TABLE_ROWS } from './limits.ts';

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
  const text = (await readBounded(file, MAX_TABLE_BYTES)).toString('utf8');
  const header = text.slice(0, text.indexOf('\n') + 1 || text.length);
  const delimiter = [',', ';', '\t'].reduce((best, mark) =>
    count(header, mark) > count(header, best) ? mark : best,
  );
  const [first, ...rest] = parseRows(file, text, delimiter);
  if (!first || rest.length === 0) throw new UserError(`${file}: has no rows under its header`);
  if (rest.length > MAX_TABLE_ROWS)
    throw new UserError(`${file}: has more rows than the limit of ${MAX_TABLE_ROWS}; refused`);
  return { file, columns: first.values, rows: rest };
}

function parseRows(file: string, text: string, delimiter: string): Row[] {
  const rows: Row[] = [];
  try {
    parse(text, {
      delimiter,
      bom: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: MAX_ROW_CHARACTERS,
      to: MAX_TABLE_ROWS + 2, // the header, and one too many
      on_record(values, { lines }) {
        rows.push({ line: lines, values });
        return null; // kept here
      },
    });
    return rows;
  } catch (error) {
    if (errorCode(error) === 'CSV_MAX_RECORD_SIZE')
      throw new UserError(
        `${file}: one of its rows is longer than the limit of ${MAX_ROW_CHARACTERS} characters (a quote that is not closed?)`,
      );
    throw new UserError(`${file}: not a well-formed CSV file (${toError(error).message})`);
  }
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
