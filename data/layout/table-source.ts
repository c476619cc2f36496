/**
 * Images listed in tables, one row per image: HAM10000_metadata.csv (image_id, dx, lesion_id), APTOS's train.csv
 * (id_code, diagnosis) and ISIC's one-hot ground truth load unchanged. Every row is read, or counted and named.
 */
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import type { DataConfig } from '../../config/data-config.ts';
import { compareNames } from '../natural-order.ts';
import type { Items, SkippedImage, Source } from '../source.ts';
import { listed, type Row, type Table } from '../table.ts';
import { chooseColumns, type Columns, type LabelColumns } from './columns.ts';
import type { FindImage, ImageIndex } from './find-image.ts';
import { alike, describeUnused, type Layout, unusedFiles } from './layout.ts';
import { isMissing, splitWithinName, type SplitName } from './names.ts';
import { isOne } from './one-hot.ts';
import type { FoundImage } from './tree.ts';

export interface TablePart {
  readonly table: Table;
  /** The images that it may name. */
  readonly images: ImageIndex;
  /** The split of all its rows; null: its split column decides, otherwise train. */
  readonly split: SplitName | null;
  /** Put before ids, so that those of several parts differ. */
  readonly prefix: string;
}

interface Entry {
  /** The image's name in the table. */
  readonly id: string;
  readonly file: string;
  /** The file's path below the folder that was searched, after the prefix: the id of a second image of this name. */
  readonly path: string;
  readonly label: string;
  readonly group: string | null;
  readonly split: SplitName;
}

type Options = Pick<DataConfig, 'csv' | 'onBadImage'>;

/**
 * Reads all rows of `parts`. `all`: all images found, to report those that no row names. Throws UserError with file and
 * line for an unreadable row; a row without its image or label is skipped if the options say so.
 */
export function readTables(
  parts: readonly TablePart[],
  all: readonly FoundImage[],
  options: Options,
  layout: Pick<Layout, 'unused' | 'junk'> & { readonly evidence: readonly string[] },
): Source {
  const reader = new RowReader(options);
  const read = parts.map((part) => reader.read(part));
  const { entries, skipped } = reader;
  if (!entries.some(({ split }) => split === 'train'))
    throw new UserError(
      `${parts[0]!.table.file}: none of its ${parts[0]!.table.rows.length} rows is a train image found under ${parts[0]!.images.folder}`,
    );
  const normal = withWholeNumbers(entries);
  const source = toSource(normal, skipped);
  const used = new Set(normal.map(({ file }) => file));
  const unlisted = all.filter(({ file }) => !used.has(file));
  const unused = [
    ...layout.unused,
    ...unusedFiles(unlisted.map(({ id }) => ({ name: id })), 'image', 'no row names it', 'no row names them'),
  ]; // prettier-ignore
  const notes = [...parts.flatMap(({ table }) => table.notes), ...read.flatMap(({ notes }) => notes)];
  return {
    ...source,
    layout: {
      kind: 'table',
      evidence: [...layout.evidence, ...read.map(({ line }) => line), ...notes],
      columns: read[0]!.columns,
      unused,
      junk: layout.junk,
      doubts: [
        ...reader.doubts,
        ...parts.flatMap(({ table }) => table.notes.filter((note) => note.includes('Windows-1252'))),
        ...unused.map(describeUnused),
        ...alike(source.classes),
      ],
    },
  };
}

class RowReader {
  readonly entries: Entry[] = [];
  readonly skipped: SkippedImage[] = [];
  readonly doubts: string[] = [];
  readonly #options: Options;
  readonly #ids = new Set<string>();
  /** Where each file was named before. */
  readonly #rows = new Map<string, { entry: Entry; where: string }>();

  constructor(options: Options) {
    this.#options = options;
  }

  read(part: TablePart): { line: string; columns: Record<string, string>; notes: readonly string[] } {
    const { table, images } = part;
    const columns = chooseColumns(table, this.#options.csv, images);
    const { find, notes: leftOut } = images.finder(table.rows.map(({ values }) => values[columns.id]!));
    const unlabelled = this.#rowsWithoutLabel(part, columns.label);
    let repeated = 0;
    for (const row of table.rows) {
      if (unlabelled.has(row)) continue;
      const entry = this.#readRow(part, row, columns, find);
      if (entry !== null && !this.#add(entry, `${table.file} line ${row.line}`)) repeated++;
    }
    if (repeated > 0) this.doubts.push(`${table.file}: ${repeated} rows repeat others and are left out`);
    const { chosen, notes } = describeColumns(table, columns);
    const parts = Object.entries(chosen).map(([what, name]) => `${what} from ${name}`);
    return { line: `${table.file}: ${parts.join(', ')}`, columns: chosen, notes: [...leftOut, ...notes] };
  }

  /** Rows without a label, or with several; refused unless they may be left out. */
  #rowsWithoutLabel({ table }: TablePart, label: LabelColumns): Set<Row> {
    const isSeveral = severalLabels(table.rows.map(({ values }) => labelOf(values, label, table) ?? ''));
    const bad = table.rows.filter(({ values }) => {
      const written = labelOf(values, label, table);
      return written === null || isSeveral(written);
    });
    if (bad.length === 0) return new Set();
    const lines = bad.slice(0, 5).map(({ line }) => line);
    const more = bad.length > lines.length ? ', …' : '';
    const first = labelOf(bad[0]!.values, label, table);
    const what =
      first === null ? 'no label' : `several labels ('${first}'); only one label an image is supported`;
    const where = `${table.file}: ${bad.length} of ${table.rows.length} rows (line ${lines.join(', ')}${more})`;
    if (this.#options.csv.missingLabels === 'fail')
      throw new UserError(
        `${where} have ${what}; fill them in, remove the rows, or leave them out with --csv-missing-labels skip`,
      );
    this.doubts.push(`${where} have ${what.split(';')[0]} and are left out`);
    return new Set(bad);
  }

  /** Null when the image is not there and may be left out. */
  #readRow(
    { table, images, split, prefix }: TablePart,
    row: Row,
    columns: Columns,
    find: FindImage,
  ): Entry | null {
    const where = `${table.file} line ${row.line}`;
    const id = row.values[columns.id]!;
    if (id === '') throw new UserError(`${where}: image name is empty; fill it in or remove the row`);
    const written = columns.split === null ? null : row.values[columns.split.index]!;
    const named = columns.split === null ? (split ?? 'train') : columns.split.splitOf(written!);
    if (named === null)
      throw new UserError(
        `${where}: split '${written}' is not one of train, validation (val), test; correct it, or leave the column out with --csv-split none`,
      );
    const found = find(id, where, columns.split === null ? splitWithinName(basename(table.file)) : named);
    if (found === null) {
      const reason = `no image '${id}' under ${images.folder}`;
      if (this.#options.onBadImage === 'fail')
        throw new UserError(
          `${where}: ${reason}; add it, set data.csv.images to the images' folder (--csv-images ${likelyFolder(table.file, id)}), or skip such rows with --on-bad-image skip`,
        );
      this.skipped.push({ file: where, reason });
      return null;
    }
    const group = columns.group === null ? null : row.values[columns.group]!;
    return {
      id: prefix + id,
      ...{ file: found.file, path: prefix + found.id },
      label: labelOf(row.values, columns.label, table)!,
      group: group === null ? null : isMissing(group) ? prefix + id : group,
      split: named,
    };
  }

  /** False if an equal row precedes it. */
  #add(entry: Entry, where: string): boolean {
    const before = this.#rows.get(entry.file);
    if (before === undefined) {
      this.#rows.set(entry.file, { entry, where });
      this.entries.push(this.#ids.has(entry.id) ? { ...entry, id: entry.path } : entry);
      this.#ids.add(entry.id);
      return true;
    }
    const { label, split, group } = before.entry;
    if (label === entry.label && split === entry.split && group === entry.group) return false;
    throw new UserError(
      `${where}: image '${entry.id}' is already named in ${before.where.replace(/^.* line /, 'line ')} with another label, group or split; remove one of the rows`,
    );
  }
}

/** Where the images of a list with such a path lie, without a look: it may be that this user must not know. */
function likelyFolder(file: string, id: string): string {
  const path = dirname(id.replaceAll('\\', '/'));
  return isAbsolute(path) || path.startsWith('..') ? resolve(dirname(file), path) : 'DIR';
}

/** Whether a label consists of several joined by `|`: one of the parts also occurs alone or in another label. */
function severalLabels(labels: readonly string[]): (label: string) => boolean {
  const holders = new Map<string, number>();
  for (const label of new Set(labels))
    for (const part of new Set(label.split('|').map((name) => name.trim())))
      holders.set(part, (holders.get(part) ?? 0) + 1);
  return (label) =>
    label.includes('|') && label.split('|').some((part) => (holders.get(part.trim()) ?? 0) > 1);
}

function labelOf(values: readonly string[], label: LabelColumns, table: Table): string | null {
  if (label.kind === 'one-hot') {
    const index = label.indices.find((i) => isOne(values[i]!));
    return index === undefined ? null : table.columns[index]!;
  }
  const written = values[label.index]!;
  return isMissing(written) ? null : written;
}

function describeColumns(
  table: Table,
  { id, label, group, split, notes }: Columns,
): { chosen: Record<string, string>; notes: string[] } {
  const name = (index: number) => `'${table.columns[index]}'`;
  const labels =
    label.kind === 'column'
      ? name(label.index)
      : `${label.indices.length} columns of 0 and 1 (${listed(label.indices.map((index) => table.columns[index]!))})`;
  const used = new Set([
    id,
    group,
    split?.index,
    ...(label.kind === 'column' ? [label.index] : label.indices),
  ]);
  const idle = table.columns.filter((column, index) => column !== '' && !used.has(index));
  const empty =
    label.kind === 'one-hot'
      ? label.indices.filter((index) => !table.rows.some(({ values }) => isOne(values[index]!)))
      : [];
  return {
    chosen: {
      images: name(id),
      labels,
      ...(group !== null && { groups: name(group) }),
      ...(split !== null && { splits: name(split.index) }),
    },
    notes: [
      ...notes,
      ...empty.map((index) => `column ${name(index)} is the class of no row: it is not a class`),
      ...(idle.length > 0 ? [`columns that are not used: ${listed(idle)}`] : []),
    ],
  };
}

/** Labels that are all numbers lose their `.0`: 1 and 1.0 are one class. */
function withWholeNumbers(entries: readonly Entry[]): readonly Entry[] {
  if (!entries.every(({ label }) => /^-?\d+(?:\.0+)?$/.test(label))) return entries;
  return entries.map((entry) => ({ ...entry, label: entry.label.replace(/\.0+$/, '') }));
}

/** Classes are those of the train rows, in natural order. */
function toSource(entries: readonly Entry[], skipped: readonly SkippedImage[]): Omit<Source, 'layout'> {
  const trained = new Set(entries.filter(({ split }) => split === 'train').map(({ label }) => label));
  const classes = [...trained].sort(compareNames);
  const positions = new Map(classes.map((name, index) => [name, index]));
  const items = (split: SplitName): Items | null => {
    const chosen = entries.filter((entry) => entry.split === split);
    if (chosen.length === 0) return null;
    return {
      labels: Int32Array.from(chosen, ({ label, id }) => {
        const index = positions.get(label);
        if (index === undefined)
          throw new UserError(
            `image '${id}' of ${split} has class '${label}', which no train image has (${listed(classes)}); add rows of train images of that class, or remove its rows`,
          );
        return index;
      }),
      ids: chosen.map(({ id }) => id),
      groups: chosen.some(({ group }) => group === null) ? null : chosen.map(({ group }) => group!),
      pixels: { kind: 'files', files: chosen.map(({ file }) => file) },
    };
  };
  return { classes, train: items('train')!, validation: items('validation'), test: items('test'), skipped };
}
