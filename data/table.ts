/**
 * CSV files, and files of a JSON object a line, as rows by column name, with line numbers for messages, as programs write them: UTF-8, UTF-16 or
 * Windows-1252; comma, semicolon, tab or bar; comment lines on top; quotes inside of fields; a comma after the last
 * column. Text comes out in Unicode NFC. Refused, with the line: rows that have more values than there are columns.
 */
import { extname } from 'node:path';
import { parse } from 'csv-parse/sync';
import { readBounded, readStart } from '../common/bounded-file.ts';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { MAX_ROW_CHARACTERS, MAX_TABLE_BYTES, MAX_TABLE_CELLS, MAX_TABLE_ROWS } from './limits.ts';
import { plainName } from './layout/names.ts';

export interface Table {
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** How it was read where that is not the usual way, one line each. */
  readonly notes: readonly string[];
}

export interface Row {
  /** Line of the file, from 1. */
  readonly line: number;
  /** One a column; what a short row lacks is empty. */
  readonly values: readonly string[];
}

const OBJECTS = new Set(['.jsonl', '.ndjson']);
const DELIMITERS = [',', ';', '\t', '|'];

/** Reads a CSV file with a header, or JSON lines by the file's ending. Throws UserError with file and line. */
export async function readTable(file: string): Promise<Table> {
  const { text, notes } = decodeText(file, await readBounded(file, MAX_TABLE_BYTES));
  if (OBJECTS.has(extname(file).toLowerCase())) return tableOfObjects(file, text, notes);
  const { body, above, delimiter } = beginOf(text);
  const [first, ...rest] = parseRows(file, body, delimiter, above);
  if (!first || rest.length === 0) throw new UserError(`${file}: has no rows under its header`);
  const columns = withoutEmptyEnd(first.values);
  checkSize(file, rest.length, columns.length);
  return { file, columns, rows: rest.map((row) => fitted(file, columns, row)), notes };
}

/** The columns of a CSV file, without reading its rows, where their names are in ASCII; none of what cannot be read. */
export async function readColumns(file: string): Promise<readonly string[]> {
  try {
    const start = await readStart(file, MAX_ROW_CHARACTERS, MAX_TABLE_BYTES);
    const { header, delimiter } = beginOf(start.toString('latin1').replace(/\r\n?/g, '\n'));
    return withoutEmptyEnd(header.split(delimiter).map((name) => name.trim().replace(/^"(.*)"$/, '$1')));
  } catch {
    return []; // readTable says why
  }
}

/** What stands above the rows of a CSV file, and the rest of it. */
function beginOf(text: string): { body: string; above: number; header: string; delimiter: string } {
  const comments = /^(?:[ \t]*#[^\n]*\n)+/.exec(text.slice(0, MAX_ROW_CHARACTERS))?.[0] ?? '';
  const body = text.slice(comments.length);
  const header = body.slice(0, body.indexOf('\n') + 1 || body.length);
  const unquoted = header.replace(/"[^"]*"/g, '');
  const delimiter = DELIMITERS.reduce((best, mark) =>
    count(unquoted, mark) > count(unquoted, best) ? mark : best,
  );
  return { body, above: comments.split('\n').length - 1, header, delimiter };
}

function checkSize(file: string, rows: number, columns: number): void {
  if (rows > MAX_TABLE_ROWS)
    throw new UserError(`${file}: has more rows than the limit of ${MAX_TABLE_ROWS}; refused`);
  if (rows * columns > MAX_TABLE_CELLS)
    throw new UserError(
      `${file}: has ${rows} rows of ${columns} columns, above the limit of ${MAX_TABLE_CELLS} fields; leave columns out`,
    );
}

/** Columns are the keys whose values are never lists or objects. */
function tableOfObjects(file: string, text: string, notes: readonly string[]): Table {
  const lines = text.split('\n', MAX_TABLE_ROWS + 2);
  checkSize(file, lines.length - 1, 1);
  const objects = lines
    .map((line, i) => ({ line: i + 1, text: line.trim() }))
    .filter((row) => row.text !== '')
    .map((row) => ({ line: row.line, values: objectOf(row.text, `${file} line ${row.line}`) }));
  if (objects.length === 0) throw new UserError(`${file}: has no rows`);
  const keys = new Set<string>();
  const deep = new Set<string>();
  for (const { values } of objects)
    for (const [key, value] of values) (value === null ? deep : keys).add(key);
  const columns = [...keys].filter((key) => !deep.has(key));
  checkSize(file, objects.length, columns.length);
  return {
    ...{ file, columns },
    rows: objects.map(({ line, values }) => ({ line, values: columns.map((key) => values.get(key) ?? '') })),
    notes: [
      ...notes,
      ...(deep.size > 0 ? [`${file}: lists and objects are not read: ${listed([...deep])}`] : []),
    ],
  };
}

/** Texts by key; null for a list or an object. */
function objectOf(text: string, where: string): ReadonlyMap<string, string | null> {
  if (text.length > MAX_ROW_CHARACTERS)
    throw new UserError(`${where}: is longer than the limit of ${MAX_ROW_CHARACTERS} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new UserError(`${where}: is not JSON (${toError(thrown).message})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${where}: is not a JSON object, such as {"file_name": "1.png", "label": "cat"}`);
  return new Map(
    Object.entries(value).map(([key, each]) => [
      key.normalize('NFC'),
      typeof each === 'object' && each !== null ? null : String(each ?? '').trim(),
    ]),
  );
}

function decodeText(file: string, bytes: Buffer): { text: string; notes: string[] } {
  const utf16 = utf16Of(bytes);
  if (utf16 !== null) return { text: textOf(bytes, utf16), notes: [`${file} is in UTF-16`] };
  try {
    return { text: textOf(bytes, 'utf-8'), notes: [] };
  } catch {
    // Not UTF-8: reported below.
  }
  if (bytes.includes(0))
    throw new UserError(`${file}: is not a CSV file: it holds zero bytes; give a table of text`);
  return {
    text: textOf(bytes, 'windows-1252'),
    notes: [`${file} is not UTF-8; read as Windows-1252: check the accents of its class names`],
  };
}

function textOf(bytes: Buffer, encoding: string): string {
  return new TextDecoder(encoding, { fatal: true }).decode(bytes).normalize('NFC').replace(/\r\n?/g, '\n');
}

/** By its mark, or by zeros at every other of the first bytes. */
function utf16Of(bytes: Buffer): 'utf-16le' | 'utf-16be' | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  const start = [...bytes.subarray(0, 64)];
  const zeros = (parity: number) => start.filter((byte, i) => i % 2 === parity && byte === 0).length;
  if (start.length < 16 || zeros(0) + zeros(1) < start.length / 3) return null;
  if (zeros(0) === 0) return 'utf-16le';
  return zeros(1) === 0 ? 'utf-16be' : null;
}

function parseRows(file: string, text: string, delimiter: string, above: number): Row[] {
  const rows: Row[] = [];
  try {
    parse(text, {
      delimiter,
      bom: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true,
      relax_quotes: true,
      relax_column_count: true,
      max_record_size: MAX_ROW_CHARACTERS,
      to: MAX_TABLE_ROWS + 2, // the header, and one too many
      on_record(values, { lines }) {
        rows.push({ line: lines + above, values });
        return null; // kept here
      },
    });
    return rows;
  } catch (error) {
    if (errorCode(error) === 'CSV_MAX_RECORD_SIZE')
      throw new UserError(
        `${file}: one of its rows is longer than the limit of ${MAX_ROW_CHARACTERS} characters (an unclosed quote?)`,
      );
    throw new UserError(
      `${file}: not a well-formed CSV file (${toError(error).message}); quote fields that hold quotes or separators`,
    );
  }
}

/** The row with one value a column. Values beyond the last column must be empty. */
function fitted(file: string, columns: readonly string[], { line, values }: Row): Row {
  const missing = columns.length - values.length;
  if (missing > 0) return { line, values: [...values, ...Array<string>(missing).fill('')] };
  if (values.slice(columns.length).some((value) => value !== ''))
    throw new UserError(
      `${file} line ${line}: has ${values.length} values where its header names ${columns.length} columns; quote values that hold the separator, or remove the row`,
    );
  return missing === 0 ? { line, values } : { line, values: values.slice(0, columns.length) };
}

/** A header may end with separators. */
function withoutEmptyEnd(columns: readonly string[]): string[] {
  const last = columns.findLastIndex((name) => name !== '');
  return columns.slice(0, last + 1);
}

function count(text: string, mark: string): number {
  return text.split(mark).length;
}

/**
 * The position of a column: the one named `name`, otherwise the first of `usual` (plain names) in the table; null when
 * there is none. Throws UserError that lists the columns when `name` is not among them.
 */
export function findColumn(
  table: Table,
  name: string | null,
  usual: readonly string[],
  field: string,
): number | null {
  if (name !== null) {
    const index = columnIndex(table, name);
    if (index < 0)
      throw new UserError(
        `${table.file}: has no column '${name}' (${field}); its columns are ${listed(table.columns)}`,
      );
    return index;
  }
  const plain = table.columns.map(plainName);
  const known = usual.find((candidate) => plain.includes(candidate));
  return known === undefined ? null : plain.indexOf(known);
}

/** The position of the column `name`, compared exactly first; -1 for none. */
export function columnIndex({ columns }: Table, name: string): number {
  const exact = columns.indexOf(name.normalize('NFC'));
  return exact >= 0 ? exact : columns.findIndex((column) => plainName(column) === plainName(name));
}

const LISTED = 20;

/** Names for a message, the first ones. */
export function listed(names: readonly string[]): string {
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : '';
  return (
    names
      .slice(0, LISTED)
      .map((name) => name.slice(0, 80))
      .join(', ') + more
  );
}
