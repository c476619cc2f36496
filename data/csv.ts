/**
 * A CSV manifest beside its images: one row an image, columns chosen by name or found by their usual names, so that
 * HAM10000_metadata.csv (image_id, dx, lesion_id) and APTOS's train.csv (id_code, diagnosis) load as they are.
 * Images are looked for under one folder, subfolders included, by path or by name, with or without extension.
 */
import { dirname, extname, join } from 'node:path';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { isFolder, listImages } from './image-files.ts';
import { compareNames } from './natural-order.ts';
import type { Items, SkippedImage, Source } from './source.ts';
import { findColumn, readTable, type Row, type Table } from './table.ts';

const ID_COLUMNS = [
  ...['path', 'file_path', 'filepath', 'image_path', 'filename', 'file_name', 'file'],
  ...['image_id', 'id_code', 'image', 'image_name', 'img_id', 'id'],
];
const LABEL_COLUMNS = ['dx', 'diagnosis', 'label', 'class', 'target', 'category', 'level'];
const GROUP_COLUMNS = ['group', 'group_id', 'lesion_id', 'patient_id', 'patient', 'subject_id'];
const SPLIT_COLUMNS = ['split', 'subset', 'partition'];

const SPLITS: Readonly<Record<string, 'train' | 'validation' | 'test'>> = {
  train: 'train',
  training: 'train',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
  test: 'test',
  testing: 'test',
};

interface Columns {
  readonly id: number;
  readonly label: number;
  readonly group: number | null;
  readonly split: number | null;
}

interface Entry {
  readonly id: string;
  readonly file: string;
  readonly label: string;
  readonly group: string | null;
  readonly split: 'train' | 'validation' | 'test';
}

/**
 * Whether `file` lists images: it has a column of image names and one of labels under their usual names, and rows for
 * at least half of the `images` that lie about (a list of a few excluded ones is no manifest).
 */
export async function isManifest(file: string, images: number): Promise<boolean> {
  try {
    const table = await readTable(file);
    const columns = [ID_COLUMNS, LABEL_COLUMNS].map((usual) => findColumn(table, null, usual, ''));
    return !columns.includes(null) && table.rows.length >= images / 2;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/**
 * Reads `file` and finds its images. A row whose image is missing is refused, or recorded and skipped, as
 * `onBadImage` says. Throws UserError with file and line.
 */
export async function readCsv(
  file: string,
  options: DataConfig['csv'],
  onBadImage: DataConfig['onBadImage'],
): Promise<Source> {
  const table = await readTable(file);
  const columns = chooseColumns(table, options);
  const folder = options.images ?? dirname(file);
  if (!(await isFolder(folder))) throw new UserError(`${folder}: no such folder (data.csv.images)`);
  const find = finder(folder, await listImages(folder));
  const entries: Entry[] = [];
  const skipped: SkippedImage[] = [];
  const lines = new Map<string, number>();
  for (const row of table.rows) {
    const entry = readRow(table, row, columns, find);
    if (entry === null) {
      const id = row.values[columns.id]!;
      if (onBadImage === 'fail')
        throw new UserError(
          `${file} line ${row.line}: no image '${id}' under ${folder}; add it, set data.csv.images to the images' folder, or skip such rows with --on-bad-image skip`,
        );
      skipped.push({ file: `${file} line ${row.line}`, reason: `no image '${id}' under ${folder}` });
      continue;
    }
    const before = lines.get(entry.file);
    if (before !== undefined)
      throw new UserError(
        `${file} line ${row.line}: image '${entry.id}' is already named in line ${before}; remove one of the rows`,
      );
    lines.set(entry.file, row.line);
    entries.push(entry);
  }
  if (!entries.some(({ split }) => split === 'train'))
    throw new UserError(
      `${file}: none of its ${table.rows.length} rows is a train image found under ${folder}`,
    );
  return toSource(entries, skipped);
}

function chooseColumns(table: Table, options: DataConfig['csv']): Columns {
  return {
    id: neededColumn(table, options.idColumn, ID_COLUMNS, 'data.csv.idColumn', 'image names'),
    label: neededColumn(table, options.labelColumn, LABEL_COLUMNS, 'data.csv.labelColumn', 'labels'),
    group: findColumn(table, options.groupColumn, GROUP_COLUMNS, 'data.csv.groupColumn'),
    split: findColumn(table, options.splitColumn, SPLIT_COLUMNS, 'data.csv.splitColumn'),
  };
}

function neededColumn(
  table: Table,
  name: string | null,
  usual: readonly string[],
  field: string,
  what: string,
): number {
  const index = findColumn(table, name, usual, field);
  if (index === null)
    throw new UserError(
      `${table.file}: which column holds the ${what}? Its columns are ${table.columns.join(', ')}; name one in ${field}`,
    );
  return index;
}

/** Null when the image is not there. */
function readRow(
  table: Table,
  { line, values }: Row,
  columns: Columns,
  find: (id: string, line: string) => string | null,
): Entry | null {
  const where = `${table.file} line ${line}`;
  const id = values[columns.id]!;
  const label = values[columns.label]!;
  if (id === '' || label === '')
    throw new UserError(
      `${where}: ${id === '' ? 'image name' : 'label'} is empty; fill it in or remove the row`,
    );
  const split = columns.split === null ? 'train' : splitOf(values[columns.split]!, where);
  const file = find(id, where);
  if (file === null) return null;
  const group = columns.group === null ? null : values[columns.group]! || id;
  return { id, file, label, group, split };
}

/** Image files that the train rows of `file` name, in their order, labels or none; the others are `missing`, by line. */
export async function readCsvImages(
  file: string,
  options: DataConfig['csv'],
): Promise<{ files: string[]; ids: string[]; missing: SkippedImage[] }> {
  const table = await readTable(file);
  const id = neededColumn(table, options.idColumn, ID_COLUMNS, 'data.csv.idColumn', 'image names');
  const split = findColumn(table, options.splitColumn, SPLIT_COLUMNS, 'data.csv.splitColumn');
  const folder = options.images ?? dirname(file);
  const find = finder(folder, await listImages(folder));
  const ids = new Map<string, string>();
  const missing: SkippedImage[] = [];
  for (const { line, values } of table.rows) {
    const where = `${file} line ${line}`;
    if (split !== null && splitOf(values[split]!, where) !== 'train') continue;
    const found = find(values[id]!, where);
    if (found === null) missing.push({ file: where, reason: `no image '${values[id]}' under ${folder}` });
    else if (!ids.has(found)) ids.set(found, values[id]!);
  }
  return { files: [...ids.keys()], ids: [...ids.values()], missing };
}

function splitOf(written: string, where: string): Entry['split'] {
  const split = SPLITS[written.toLowerCase()];
  if (split === undefined)
    throw new UserError(`${where}: split '${written}' is not one of train, validation (val), test`);
  return split;
}

/** Finds an image by its path under `folder` or its bare name, each with or without extension. */
function finder(folder: string, paths: readonly string[]): (id: string, where: string) => string | null {
  const byName = new Map<string, string[]>();
  const add = (name: string, path: string): void => {
    const known = byName.get(name);
    if (!known) byName.set(name, [path]);
    else if (!known.includes(path)) known.push(path);
  };
  const exact = new Set(paths);
  for (const path of paths) {
    const bare = path.slice(path.lastIndexOf('/') + 1);
    for (const name of [path, bare]) {
      add(name, path);
      add(name.slice(0, name.length - extname(name).length), path);
    }
  }
  return (written, where) => {
    const id = written.replaceAll('\\', '/').replace(/^\.\//, '');
    if (exact.has(id)) return join(folder, id);
    const found = byName.get(id);
    if (!found) return null;
    if (found.length > 1)
      throw new UserError(
        `${where}: image '${id}' could be ${found[0]} or ${found[1]} under ${folder}; set data.csv.images to the right folder`,
      );
    return join(folder, found[0]!);
  };
}

/** Classes are those of the train rows, in natural order. */
function toSource(entries: readonly Entry[], skipped: readonly SkippedImage[]): Source {
  const trained = entries.filter(({ split }) => split === 'train');
  const classes = [...new Set(trained.map(({ label }) => label))].sort(compareNames);
  const items = (split: Entry['split']): Items | null => {
    const chosen = entries.filter((entry) => entry.split === split);
    if (chosen.length === 0) return null;
    return {
      labels: Int32Array.from(chosen, ({ label, id }) => {
        const index = classes.indexOf(label);
        if (index < 0)
          throw new UserError(
            `image '${id}' of ${split} has class '${label}', which no train image has (${classes.join(', ')})`,
          );
        return index;
      }),
      ids: chosen.map(({ id }) => id),
      groups: chosen[0]!.group === null ? null : chosen.map(({ group }) => group!),
      pixels: { kind: 'files', files: chosen.map(({ file }) => file) },
    };
  };
  return { classes, train: items('train')!, validation: items('validation'), test: items('test'), skipped };
}
