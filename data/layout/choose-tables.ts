/** Which tables of a folder list its images, where those lie, and which tables give the labels. */
import { basename, dirname } from 'node:path';
import type { DataConfig } from '../../config/data-config.ts';
import { UserError } from '../../common/errors.ts';
import { MAX_TABLE_CELLS } from '../limits.ts';
import { listed, readColumns, readTable, type Table } from '../table.ts';
import { foundShare, hasLabels, hasNamed, listsImages, maybeLabelled } from './columns.ts';
import { ImageIndex } from './find-image.ts';
import type { Unread } from './layout.ts';
import { isHeldOut, splitWithinName } from './names.ts';
import { adviceOn, arePixels } from './other-formats.ts';
import type { TablePart } from './table-source.ts';
import { type Entry, type Folder, type FoundImage, imagesOf, readTree } from './tree.ts';

const MOST_TABLES = 100;

type Options = DataConfig['csv'];

/** A table that lists images, and the images among which it finds them. */
export interface Listing {
  readonly table: Table;
  readonly images: ImageIndex;
}

/**
 * Those that can be read as tables, and why others cannot; where there are many (one an image, say), the first ones. All
 * are held in memory at once, so they have one limit together, and tables of pixels, which can only be told of, come
 * without rows.
 */
export async function readableTables(
  files: readonly Entry[],
  maxCells = MAX_TABLE_CELLS,
): Promise<{ tables: Table[]; unread: Unread[] }> {
  const tables: Table[] = [];
  const unread: Unread[] = [];
  let cells = 0;
  for (const { name, file } of files.slice(0, MOST_TABLES)) {
    try {
      const columns = await readColumns(file);
      const table = arePixels(columns) ? { file, columns, rows: [], notes: [] } : await readTable(file);
      cells += table.rows.length * table.columns.length;
      if (cells > maxCells)
        throw new UserError(
          `${file}: has fields beyond the limit of ${maxCells} of all tables together; move large tables away`,
        );
      tables.push(table);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      unread.push({ name, file, why: error.message });
    }
  }
  return { tables, unread };
}

/**
 * The tables that list images. Their names are looked up in the folder `options.images`, otherwise in that of their
 * folder, or of those above it up to `whole`, where most are found.
 */
export async function listingsOf(
  whole: Folder,
  tables: readonly Table[],
  options: Options,
): Promise<Listing[]> {
  if (tables.length === 0) return [];
  const given = options.images === null ? null : [await readTree(options.images)];
  const known = new Map<Folder, ImageIndex>();
  const indexOf = (folder: Folder) => {
    const index = known.get(folder) ?? new ImageIndex(folder.file, imagesOf(folder));
    known.set(folder, index);
    return index;
  };
  return tables.flatMap((table) => {
    let best: { images: ImageIndex; share: number } | null = null;
    for (const folder of given ?? foldersTo(whole, dirname(table.file))) {
      const images = indexOf(folder);
      const share = listsImages(table, images) ? foundShare(table, images) : 0;
      if (share > (best?.share ?? 0)) best = { images, share };
      if (share === 1) break; // an index of the folders above would take as much memory again
    }
    return best ? [{ table, images: best.images }] : [];
  });
}

/** The folders with images from `path` up to `whole`. */
function foldersTo(whole: Folder, path: string): Folder[] {
  const inner = whole.folders.find(({ file }) => path === file || path.startsWith(`${file}/`));
  return [...(inner ? foldersTo(inner, path) : []), ...(whole.imageCount > 0 ? [whole] : [])];
}

/** The split that a table's name says; null for none. */
export function splitOfTable({ file }: Table): ReturnType<typeof splitWithinName> {
  return splitWithinName(basename(file));
}

/** Tables that list the images with labels: one, or one for each split by its name. Null for none. */
export function chooseTables(
  root: string,
  listings: readonly Listing[],
  all: readonly FoundImage[],
  options: Options,
): TablePart[] | null {
  const fitting = listings
    .filter(({ table }) => !/submission/i.test(basename(table.file)))
    .filter(({ table, images }) => hasLabels(table, options, images));
  const ofSplit = (split: ReturnType<typeof splitOfTable>) =>
    fitting.filter(({ table }) => splitOfTable(table) === split);
  const train = ofSplit('train');
  const fewest = all.filter(({ id }) => !isHeldOut(id)).length / 2;
  const isNamed = (options.labelColumn ?? options.idColumn) !== null;
  const [short, unnamed] = [ofSplit(null), ofSplit(null).filter(({ table }) => table.rows.length >= fewest)];
  const main = [train, unnamed, isNamed ? short : []].find(({ length }) => length > 0) ?? [];
  if (main.length === 0) return null;
  if (main.length + (train.length > 0 ? unnamed.length : 0) > 1)
    throw severalTables(root, [...new Set([...main, ...unnamed])]);
  const others = (['validation', 'test'] as const).flatMap((split) => {
    const named = ofSplit(split);
    if (named.length > 1) throw severalTables(root, named);
    return named.map((listing) => ({ ...listing, split }));
  });
  return [{ ...main[0]!, split: null }, ...others].map((part) => ({ ...part, prefix: '' }));
}

export function severalTables(folder: string, listings: readonly Listing[]): UserError {
  const names = listings.map(({ table }) => basename(table.file)).join(', ');
  const { table, images } = listings[0]!;
  const elsewhere = dirname(table.file) === images.folder ? '' : ` --csv-images ${images.folder}`;
  return new UserError(
    `${folder}: ${names} all list images; name the right one as data.source (--data ${table.file}${elsewhere})`,
  );
}

/** Throws UserError when `options` name columns and there are tables, of which none was chosen. */
export function refuseNamed(
  root: string,
  tables: readonly Table[],
  unread: readonly Unread[],
  options: Options,
): void {
  const names = [options.labelColumn, options.idColumn].filter((name) => name !== null).join("' and '");
  if (names === '' || tables.length + unread.length === 0) return;
  const fitting = tables.find((table) => hasNamed(table, options));
  if (fitting)
    throw new UserError(
      `${fitting.file}: has '${names}', but does not list the train images of ${options.images ?? root} with labels; name the columns with --csv-id and --csv-label, or the images' folder with --csv-images`,
    );
  const columns = tables.map((table) => `${basename(table.file)} has ${listed(table.columns)}`);
  const all = [...columns, ...unread.map(({ why }) => why)];
  throw new UserError(`${root}: no table has '${names}' (--csv-label, --csv-id): ${all.join('; ')}`);
}

/**
 * Throws UserError that asks for the label column of a table that lists the images, if one may be such. `classes`: folders
 * that can be read as classes instead; where the table says their names, they are.
 */
export function askForLabels(
  listings: readonly Listing[],
  options: Options,
  classes: readonly string[],
): void {
  if (options.labelColumn !== null) return;
  const unclear = listings.find(({ table, images }) => maybeLabelled(table, options, images, classes));
  if (!unclear) return;
  const { file, columns } = unclear.table;
  const instead = classes.length > 1 ? ', or take the folders as classes with --format image-folder' : '';
  throw new UserError(
    `${file}: lists these images, but ${adviceOn(unclear.table) ?? `which column holds the labels? Its columns are ${listed(columns)}; name it with --csv-label, or several of 0 and 1 with commas between`}${instead}`,
  );
}
