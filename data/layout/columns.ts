/**
 * Decides the meaning of a table's columns. Image columns are recognised by the images that they name; labels, groups
 * and splits by their usual names and by their values. If two columns fit and disagree, nothing is guessed: a UserError
 * asks.
 */
import type { DataConfig } from '../../config/data-config.ts';
import { UserError } from '../../common/errors.ts';
import { columnIndex, findColumn, listed, type Table } from '../table.ts';
import type { ImageIndex } from './find-image.ts';
import { isMissing, plainName, splitOfName, type SplitName } from './names.ts';
import { findOneHot } from './one-hot.ts';
import { adviceOn, arePixels } from './other-formats.ts';

const ID_COLUMNS = [
  ...[
    'path',
    'file_path',
    'filepath',
    'image_path',
    'filename',
    'file_name',
    'file',
    'image_file',
    'img_path',
  ],
  ...['image_id', 'id_code', 'image', 'image_name', 'img_id', 'image_index', 'img', 'name', 'id', 'isic_id'],
];
const LABEL_COLUMNS = [
  ...[
    'dx',
    'diagnosis',
    'label',
    'class',
    'target',
    'category',
    'level',
    'labels',
    'class_name',
    'classname',
    'label_name',
  ],
  ...[
    'finding_labels',
    'finding_label',
    'disease',
    'species',
    'grade',
    'class_id',
    'classid',
    'label_id',
    'retinopathy_grade',
  ],
];
const GROUP_COLUMNS = [
  ...[
    'group',
    'group_id',
    'lesion_id',
    'patient_id',
    'patient',
    'subject_id',
    'subject',
    'case_id',
    'participant_id',
  ],
];
const SPLIT_COLUMNS = [
  ...['split', 'subset', 'partition', 'set', 'data_split', 'dataset_split', 'phase', 'usage'],
  ...['is_valid', 'is_val', 'is_validation', 'is_test', 'is_train'],
];
/** The value of a column's setting for no such column. */
const NONE = 'none';
const ANY_ID = { idColumn: null };
const SAMPLE = 500;

export type LabelColumns =
  | { readonly kind: 'column'; readonly index: number }
  /** One column a class, with 1 where an image belongs to it. */
  | { readonly kind: 'one-hot'; readonly indices: readonly number[] };

export interface Columns {
  readonly id: number;
  readonly label: LabelColumns;
  readonly group: number | null;
  readonly split: { readonly index: number; readonly splitOf: (value: string) => SplitName | null } | null;
  /** Why a column was chosen or passed over where that is not plain, one line each. */
  readonly notes: readonly string[];
}

type Options = DataConfig['csv'];

/** Throws UserError that asks for the undecidable columns. */
export function chooseColumns(table: Table, options: Options, images: ImageIndex): Columns {
  const id = chooseId(table, options, images) ?? askFor(table, 'image names', 'data.csv.idColumn (--csv-id)');
  const notes: string[] = [];
  const group = chooseGroup(table, options, notes);
  const split = chooseSplit(table, options, notes);
  const label = chooseLabel(table, options, notes, [id, group, split?.index]);
  return {
    id,
    label: label ?? askFor(table, 'labels', 'data.csv.labelColumn (--csv-label)'),
    ...{ group, split, notes },
  };
}

/** Whether half of the rows of `table` name images, or half of the images are named (a part of a large set). */
export function listsImages(table: Table, images: ImageIndex): boolean {
  const id = arePixels(table.columns) ? null : chooseId(table, ANY_ID, images);
  return id !== null && fits(table, id, images);
}

/** The share of rows that name an image of `images`. */
export function foundShare(table: Table, images: ImageIndex): number {
  const id = chooseId(table, ANY_ID, images);
  return id === null ? 0 : shareFound(table, id, images);
}

/** Whether `table`, which lists images, has labels, and the columns that are named. Throws UserError where labels are unclear. */
export function hasLabels(table: Table, options: Options, images: ImageIndex): boolean {
  return (
    hasNamed(table, options) && chooseLabel(table, options, [], [chooseId(table, ANY_ID, images)]) !== null
  );
}

/**
 * Whether a table without known labels may hold some: a column that is no group or split repeats its values. It does not
 * where the table says the names of all `classes`, in columns or in the paths of its images.
 */
export function maybeLabelled(
  table: Table,
  options: Options,
  images: ImageIndex,
  classes: readonly string[],
): boolean {
  const id = chooseId(table, options, images)!;
  const said = new Set(table.columns.flatMap((_, i) => [...valuesOf(table, i)]).map(plainName));
  for (const path of valuesOf(table, id)) for (const name of path.split(/[/\\]/)) said.add(plainName(name));
  if (classes.length > 0 && classes.every((name) => said.has(plainName(name)))) return false;
  return table.columns.some((column, index) => {
    const isOther = index === id || [...GROUP_COLUMNS, ...SPLIT_COLUMNS].includes(plainName(column));
    const { size } = new Set(table.rows.map(({ values }) => values[index]));
    return !isOther && size > 1 && size <= table.rows.length / 2;
  });
}

/** Whether a table has the columns of images and labels that `options` name; other tables are none to read. */
export function hasNamed(table: Table, { idColumn, labelColumn }: Options): boolean {
  const names = labelColumn === null ? [] : namedLabels(table, labelColumn);
  return [...names, ...(idColumn === null ? [] : [idColumn])].every((name) => columnIndex(table, name) >= 0);
}

/** The columns that a setting names: one, or several with commas between. */
function namedLabels(table: Table, labelColumn: string): string[] {
  const isOne = !labelColumn.includes(',') || table.columns.includes(labelColumn);
  return isOne ? [labelColumn] : labelColumn.split(',').map((name) => name.trim());
}

function askFor(table: Table, what: string, field: string): never {
  const advice =
    adviceOn(table) ??
    `which column holds the ${what}? Its columns are ${listed(table.columns)}; name one in ${field}`;
  throw new UserError(`${table.file}: ${advice}`);
}

/**
 * The named column; otherwise the first column with a usual name whose values name images; otherwise the only column
 * whose values do.
 */
export function chooseId(
  table: Table,
  options: Pick<Options, 'idColumn'>,
  images: ImageIndex,
): number | null {
  if (options.idColumn !== null) return findColumn(table, options.idColumn, [], 'data.csv.idColumn');
  const plain = table.columns.map(plainName);
  const usual = ID_COLUMNS.map((name) => plain.indexOf(name)).filter((index) => index >= 0);
  const fitting = usual.find((index) => fits(table, index, images));
  if (fitting !== undefined) return fitting;
  const shares = table.columns.map((_, index) => shareFound(table, index, images));
  const best = shares.indexOf(Math.max(...shares));
  return shares[best]! >= 0.5 ? best : (usual[0] ?? null);
}

function fits(table: Table, index: number, images: ImageIndex): boolean {
  return shareFound(table, index, images) >= 0.5 || namesMost(table, index, images);
}

/** Whether a table that has more rows than there are images names half of those. */
function namesMost({ rows }: Table, index: number, images: ImageIndex): boolean {
  if (rows.length <= images.count) return false;
  const names = rows.map(({ values }) => values[index]!);
  const { candidates } = images.finder(names);
  const found = names.map(candidates).flatMap((all) => (all.length === 1 ? all : []));
  return new Set(found).size >= images.count / 2;
}

/** The share of rows, of a sample, that name an image in column `index`. */
function shareFound(table: Table, index: number, images: ImageIndex): number {
  const step = Math.max(1, Math.floor(table.rows.length / SAMPLE));
  const names = table.rows.filter((_, i) => i % step === 0).map(({ values }) => values[index]!);
  const { candidates } = images.finder(names);
  return (
    names.filter((name) => name !== '' && candidates(name).length > 0).length / Math.max(1, names.length)
  );
}

function chooseLabel(
  table: Table,
  options: Options,
  notes: string[],
  taken: readonly (number | null | undefined)[],
): LabelColumns | null {
  const field = 'data.csv.labelColumn';
  if (options.labelColumn !== null) {
    const indices = namedLabels(table, options.labelColumn).map((name) =>
      findColumn(table, name, [], field)!,
    );
    return indices.length > 1 ? { kind: 'one-hot', indices } : { kind: 'column', index: indices[0]! };
  }
  const plain = table.columns.map(plainName);
  const usual = LABEL_COLUMNS.map((name) => plain.indexOf(name));
  const there = usual.filter((i) => i >= 0 && !taken.includes(i));
  const filled = there.filter((i) => valuesOf(table, i).size > 0);
  const candidates = filled.length > 0 ? filled : there;
  if (candidates.length > 0)
    return { kind: 'column', index: oneOf(table, candidates, 'labels', '--csv-label', notes) };
  const indices = findOneHot(table, [...taken, ...SPLIT_COLUMNS.map((name) => plain.indexOf(name))]);
  return indices && { kind: 'one-hot', indices };
}

/** The only candidate that there is, or that all others say the same as; texts rather than numbers. */
function oneOf(table: Table, all: readonly number[], what: string, flag: string, notes: string[]): number {
  const varied = all.filter((index) => valuesOf(table, index).size > 1);
  const candidates = varied.length > 0 ? varied : all;
  const texts = candidates.filter((index) =>
    [...valuesOf(table, index)].some((value) => Number.isNaN(Number(value))),
  );
  const first = (texts.length > 0 ? texts : candidates)[0]!;
  const name = (index: number) => `${table.columns[index]} (${valuesOf(table, index).size} values)`;
  const other = candidates.find((index) => index !== first && !saySame(table, first, index));
  if (other !== undefined)
    throw new UserError(
      `${table.file}: several columns could hold the ${what}: ${candidates.map(name).join(', ')}; name the right one with ${flag}`,
    );
  for (const index of candidates)
    if (index !== first)
      notes.push(`column ${table.columns[index]} says the same as ${table.columns[first]}`);
  return first;
}

function valuesOf(table: Table, index: number): Set<string> {
  return new Set(table.rows.map(({ values }) => values[index]!).filter((value) => !isMissing(value)));
}

/** Whether each value of column `a` goes with one value of `b`, and the other way round. */
function saySame(table: Table, a: number, b: number): boolean {
  const forth = new Map<string, string>();
  const back = new Map<string, string>();
  return table.rows.every(({ values }) => {
    const [x, y] = [values[a]!, values[b]!];
    if ((forth.get(x) ?? y) !== y || (back.get(y) ?? x) !== x) return false;
    forth.set(x, y);
    back.set(y, x);
    return true;
  });
}

/** The named column; otherwise, of the usual ones, the one with the largest groups (a patient rather than a lesion). */
export function chooseGroup(table: Table, { groupColumn }: Options, notes: string[]): number | null {
  if (groupColumn === NONE) return null;
  if (groupColumn !== null) return findColumn(table, groupColumn, [], 'data.csv.groupColumn');
  const plain = table.columns.map(plainName);
  const found = GROUP_COLUMNS.map((name) => plain.indexOf(name)).filter((index) => index >= 0);
  const bySize = found.sort((a, b) => valuesOf(table, a).size - valuesOf(table, b).size || a - b);
  if (bySize.length > 1)
    notes.push(
      `groups: ${table.columns[bySize[0]!]}, the coarsest of ${bySize.map((i) => table.columns[i]).join(', ')} (--csv-group names another)`,
    );
  return bySize[0] ?? null;
}

/** The named column; otherwise the one of the usual ones whose values are splits. */
export function chooseSplit(table: Table, { splitColumn }: Options, notes: string[]): Columns['split'] {
  if (splitColumn === NONE) return null;
  if (splitColumn !== null) {
    const index = findColumn(table, splitColumn, [], 'data.csv.splitColumn')!;
    return { index, splitOf: splitRule(table, index) ?? splitOfName };
  }
  const plain = table.columns.map(plainName);
  const found = SPLIT_COLUMNS.map((name) => plain.indexOf(name)).filter((index) => index >= 0);
  const fitting = found.flatMap((index) => {
    const splitOf = splitRule(table, index);
    const values = [...valuesOf(table, index)];
    if (splitOf) return [{ index, splitOf }];
    if (values.some((value) => splitOfName(value) !== null)) return [{ index, splitOf: splitOfName }];
    notes.push(
      `column ${table.columns[index]} holds no names of splits (${listed(values.slice(0, 5))}): not used`,
    );
    return [];
  });
  if (fitting.length < 2) return fitting[0] ?? null;
  const chosen = oneOf(table, fitting.map(({ index }) => index), 'splits', '--csv-split', notes); // prettier-ignore
  return fitting.find(({ index }) => index === chosen)!;
}

const YES = new Set(['true', 't', 'yes', 'y', '1', '1.0']);
const NO = new Set(['false', 'f', 'no', 'n', '0', '0.0']);

/** How the values of a column are read as splits: by name, as `is_valid`, or numbered as CelebA does; null for others. */
function splitRule(table: Table, index: number): ((value: string) => SplitName | null) | null {
  const values = [...valuesOf(table, index)].map((value) => value.toLowerCase());
  const name = plainName(table.columns[index]!);
  if (values.length > 0 && values.every((value) => splitOfName(value) !== null)) return splitOfName;
  const flagged = /^is_(.+)$/.exec(name);
  if (flagged && values.every((value) => YES.has(value) || NO.has(value))) {
    const split = splitOfName(flagged[1]!) ?? 'train';
    const other = split === 'train' ? 'test' : 'train';
    return (value) => (YES.has(value.toLowerCase()) ? split : NO.has(value.toLowerCase()) ? other : null);
  }
  const numbers = new Set(values.map(Number));
  if (![...numbers].every((number) => [0, 1, 2].includes(number))) return null;
  if (!numbers.has(0) || !numbers.has(2))
    throw new UserError(
      `${table.file}: column '${table.columns[index]}' numbers its parts ${[...numbers].sort().join(', ')}: which are train, validation and test? Write the names, or leave the column out with --csv-split none`,
    );
  return (value) => (isMissing(value) ? null : (['train', 'validation', 'test'] as const)[Number(value)]!);
}
