/** Decides how to read a folder of images. Only strong evidence counts: folders named after splits, folders of images as
 * classes, tables whose rows name the images. Where two readings fit, a UserError asks; what no reading uses is named
 * and counted.
 */
import { basename } from 'node:path';
import type { DataConfig } from '../../config/data-config.ts';
import { UserError } from '../../common/errors.ts';
import type { Source } from '../source.ts';
import { MAX_TABLE_CELLS } from '../limits.ts';
import { findColumn, listed, readColumns, readTable, type Table } from '../table.ts';
import {
  type ClassFolder,
  classFoldersIn,
  folderLayout,
  type Groups,
  readClassFolders,
  splitFolders,
  splitsInClasses,
  unusedIn,
  unwrapped,
} from './class-folders.ts';
import { chooseGroup, chooseId, isManifest } from './columns.ts';
import { refuseDoubtfulClasses, refuseRepeated, refuseStrays } from './doubtful-folders.ts';
import { ImageIndex } from './find-image.ts';
import { type Unused, unusedFiles } from './layout.ts';
import { arePixels, lookedAt, type OtherFiles, otherFiles } from './other-formats.ts';
import { SPLITS, splitOfName, splitWithinName, type SplitName } from './names.ts';
import { readTables, type TablePart } from './table-source.ts';
import {
  allFolders,
  type Entry,
  type Folder,
  type FoundImage,
  imagesOf,
  readTree,
  withImages,
} from './tree.ts';

export const MANIFEST = 'manifest.csv';
const MOST_TABLES = 100;

type Options = Pick<DataConfig, 'csv' | 'onBadImage'>;
/** Which readings are considered. */
type Readings = { readonly tables: boolean; readonly folders: boolean };

interface Place {
  readonly root: string;
  /** Where splits or classes begin. */
  readonly top: Folder;
  readonly whole: Folder;
  /** Tables of `top`, of the folders above it, and of folders without images beside them. */
  readonly tables: readonly Table[];
  readonly evidence: readonly string[];
  readonly images: readonly FoundImage[];
  readonly options: Options;
}

/** Reads the folder `root`; null when it holds no images. Throws UserError for what is unclear. */
export async function readFolder(root: string, options: Options, readings: Readings): Promise<Source | null> {
  const whole = await readTree(root);
  if (whole.imageCount === 0) return null;
  const place = { ...(await findTop(whole)), root, whole, images: imagesOf(whole), options };
  const { top } = place;
  const splits = splitFolders(top);
  if (splits) {
    const source =
      (readings.tables && (await readSplitTables(place, splits))) ||
      (readings.folders && readSplitFolders(place, splits));
    if (source) return source;
  }
  const inClasses = readings.folders ? splitsInClasses(top) : null;
  if (inClasses) return readSubSplits(place, inClasses);
  const table = readings.tables ? await chooseTables(place) : null;
  if (table && !(readings.folders && foldersAgree(place, table))) return readChosen(place, table);
  if (splits && splits.size > 1) throw unlabelledSplits(place, splits);
  return readings.folders ? readClasses(place) : null;
}

/** Descends while a folder contains only one folder with images, if that leads to several, or to splits. */
async function findTop(whole: Folder): Promise<Pick<Place, 'top' | 'tables' | 'evidence'>> {
  const chain = [whole];
  for (;;) {
    const last = chain.at(-1)!;
    const [only, ...more] = withImages(last);
    if (only === undefined || more.length > 0 || last.images.length > 0) break;
    if (splitOfName(only.name) !== null) break;
    chain.push(only);
  }
  const top = chain.at(-1)!.images.length === 0 ? chain.at(-1)! : whole;
  const beside = chain.flatMap(({ folders }) => folders.filter(({ imageCount }) => imageCount === 0));
  const places = [...chain, ...beside.flatMap((folder) => [...allFolders(folder)])];
  return {
    top,
    tables: await readableTables(places.flatMap((folder) => folder.tables)),
    evidence: top === whole ? [] : chain.slice(1).map(({ name }) => `all images are in ${name}/`),
  };
}

/**
 * Those that can be read as tables; where there are many (one an image, say), the first ones. All are held in memory at
 * once, so they have one limit together, and tables of pixels, which can only be told of, come without rows.
 */
export async function readableTables(files: readonly Entry[], maxCells = MAX_TABLE_CELLS): Promise<Table[]> {
  const tables: Table[] = [];
  let cells = 0;
  for (const { file } of files.slice(0, MOST_TABLES)) {
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
    }
  }
  return tables;
}

/** `train/metadata.csv` beside the images of train, the same in the other splits (Hugging Face, Roboflow). */
async function readSplitTables(place: Place, splits: Map<SplitName, Folder[]>): Promise<Source | null> {
  const parts: TablePart[] = [];
  for (const [split, folders] of splits)
    for (const folder of folders) {
      const images = new ImageIndex(folder.file, imagesOf(folder));
      const tables = (await readableTables(folder.tables)).filter((table) =>
        isManifest(table, place.options.csv, images),
      );
      if (tables.length > 1) throw severalTables(folder.file, tables);
      if (tables[0]) parts.push({ table: tables[0], images, split, prefix: `${folder.name}/` });
    }
  if (!parts.some(({ split }) => split === 'train')) return null;
  return readTables(parts, place.images, place.options, {
    evidence: [
      ...place.evidence,
      `there is a table in each of ${parts.map(({ prefix }) => prefix).join(', ')}`,
    ],
    unused: [
      ...unusedTables(
        place,
        parts.map(({ table }) => table),
      ),
      ...othersOf(place),
    ],
    junk: place.whole.junkCount,
  });
}

function readSplitFolders(place: Place, splits: Map<SplitName, Folder[]>): Source | null {
  const { top, whole, root } = place;
  const train = splits.get('train')!;
  const others = withImages(top).filter((folder) => ![...splits.values()].flat().includes(folder));
  const hasClasses = train.some((folder) => withImages(folder).length > 0);
  if (!hasClasses) return null;
  if (splits.size === 1 && others.length > 0 && train.every(({ images }) => images.length === 0))
    throw new UserError(
      `${top.file}: is ${train[0]!.name}/ a split beside ${listed(others.map(({ name }) => `${name}/`))}, or a class like them? Give --data ${train[0]!.file} for its classes alone, or rename the folder`,
    );
  if (splits.size === 1 && others.length > 0) return null;
  const { folders, unused } = classesOfSplits(place, splits);
  unused.push(...unusedIn(top, [...splits.values()].flat(), 'split folders'));
  const names = SPLITS.flatMap((split) =>
    (splits.get(split) ?? []).map(({ name }) => `${split} from ${name}/`),
  );
  const layout = folderLayout(
    'split folders',
    [...place.evidence, names.join(', ')],
    [...unused, ...unusedTables(place, []), ...othersOf(place)],
    whole.junkCount,
  );
  return readClassFolders(root, folders, groupsOf(place), layout);
}

/** Class folders of all splits. @throws UserError when a split has none of the classes of train */
function classesOfSplits(
  { whole }: Place,
  splits: Map<SplitName, Folder[]>,
): { folders: ClassFolder[]; unused: Unused[] } {
  const folders: ClassFolder[] = [];
  const unused: Unused[] = [];
  const trained = new Set<string>();
  for (const split of SPLITS)
    for (const folder of splits.get(split) ?? []) {
      const inner = folder.folders.some(({ name }) => trained.has(name)) ? folder : unwrapped(folder);
      refuseStrays(inner);
      const classes = classFoldersIn(inner, split, `${inner.file.slice(whole.file.length + 1)}/`);
      if (split === 'train') for (const { name } of classes) trained.add(name);
      else if (classes.length > 0 && !classes.some(({ name }) => trained.has(name)))
        throw new UserError(
          `${folder.file}: none of its folders (${listed(classes.map(({ name }) => name))}) is a class of train (${listed([...trained])})${lookedAt(otherFiles([...allFolders(folder)]), [])}; name them as there, or give --data with the folder of train alone`,
        );
      folders.push(...classes);
      unused.push(...unusedIn(inner, classes.map((each) => each.folder), `class folders of ${folder.name}/`)); // prettier-ignore
    }
  return { folders, unused };
}

function readSubSplits(place: Place, folders: readonly ClassFolder[]): Source {
  refuseStrays(place.top);
  refuseRepeated(place.top, folders.filter(({ split }) => split === 'train')); // prettier-ignore
  const names = [...new Set(folders.map(({ folder, split }) => `${split} from */${folder.name}/`))];
  const prefix = place.top === place.whole ? '' : `${place.top.file.slice(place.whole.file.length + 1)}/`;
  const unused = [
    ...unusedIn(place.top, withImages(place.top), 'class folders'),
    ...unusedTables(place, []),
    ...othersOf(place),
  ]; // prettier-ignore
  return readClassFolders(
    place.root,
    folders.map((folder) => ({ ...folder, path: prefix + folder.path })),
    groupsOf(place),
    folderLayout(
      'split folders in class folders',
      [...place.evidence, ...names],
      unused,
      place.whole.junkCount,
    ),
  );
}

function readClasses(place: Place): Source {
  const { top, whole, root } = place;
  refuseDoubtfulClasses(top);
  const prefix = top === whole ? '' : `${top.file.slice(whole.file.length + 1)}/`;
  const folders = classFoldersIn(top, 'train', prefix);
  const others = othersOf(place);
  const inside = lookedAt(others, place.tables);
  if (folders.length === 0)
    throw new UserError(
      `${root}: has ${whole.imageCount} images, but neither class folders nor a table that names them with labels${inside}; expected ${root}/<class>/*.jpg, train/<class>/*.jpg, or a CSV of image names and labels`,
    );
  if (folders.length === 1 && inside !== '')
    throw new UserError(
      `${root}: all images are in one folder, ${folders[0]!.path}/, and no table names them with labels${inside}`,
    );
  const named = folders.filter(({ name }) => splitOfName(name) !== null).map(({ name }) => name);
  const doubts = named.map(
    (name) => `folder ${name}/ is read as a class, not as a split: there is no train/ with classes beside it`,
  );
  const unused = [...unusedIn(top, folders.map(({ folder }) => folder), 'class folders'), ...unusedTables(place, []), ...others]; // prettier-ignore
  const evidence = [...place.evidence, `${folders.length} folders of images`];
  return readClassFolders(root, folders, groupsOf(place), folderLayout('class folders', evidence, unused, whole.junkCount, doubts)); // prettier-ignore
}

function readChosen(place: Place, chosen: readonly TablePart[]): Source {
  const tables = chosen.map(({ table }) => table);
  return readTables(chosen, place.images, place.options, {
    evidence: place.evidence,
    unused: [...unusedTables(place, tables), ...othersOf(place)],
    junk: place.whole.junkCount,
  });
}

/** Tables that list the images with labels: one, or one for each split by its name. Null for none. */
async function chooseTables(place: Place): Promise<TablePart[] | null> {
  const { options, images, top, whole } = place;
  const folder = options.csv.images ?? whole.file;
  const found = options.csv.images === null ? images : imagesOf(await readTree(folder));
  const index = new ImageIndex(folder, found);
  const hasClasses = withImages(top).length > 0;
  const fitting = place.tables
    .filter(({ file }) => !/submission/i.test(basename(file)) && !(basename(file) === MANIFEST && hasClasses))
    .filter((table) => isManifest(table, options.csv, index));
  const whichSplit = (table: Table) => splitWithinName(basename(table.file));
  const train = fitting.filter((table) => whichSplit(table) === 'train');
  const unnamed = fitting.filter(
    (table) => whichSplit(table) === null && table.rows.length >= images.length / 2,
  );
  const main = train.length > 0 ? train : unnamed;
  if (main.length === 0) return null;
  if (main.length + (train.length > 0 ? unnamed.length : 0) > 1)
    throw severalTables(place.root, [...new Set([...main, ...unnamed])]);
  const others = (['validation', 'test'] as const).flatMap((split) => {
    const named = fitting.filter((table) => whichSplit(table) === split);
    if (named.length > 1) throw severalTables(place.root, named);
    return named.map((table) => ({ table, split }));
  });
  return [{ table: main[0]!, split: null }, ...others].map((part) => ({
    ...part,
    images: index,
    prefix: '',
  }));
}

function severalTables(folder: string, tables: readonly Table[]): UserError {
  const names = tables.map(({ file }) => basename(file)).join(', ');
  return new UserError(
    `${folder}: ${names} all list images; name the right one as data.source (--data ${tables[0]!.file})`,
  );
}

/**
 * Whether the folders say the same classes as the table, so that they can be read instead. Throws UserError when both
 * are classes but not the same.
 */
function foldersAgree(place: Place, parts: readonly TablePart[]): boolean {
  const { top } = place;
  const outer = withImages(top);
  if (outer.length < 2) return false;
  const source = readChosen(place, parts);
  const folderOf = new Map(
    outer.flatMap((folder) => imagesOf(folder).map(({ file }) => [file, folder.name] as const)),
  );
  const labels = new Map<string, Set<string>>();
  for (const items of [source.train, source.validation, source.test])
    if (items?.pixels.kind === 'files')
      items.pixels.files.forEach((file, i) => {
        const folder = folderOf.get(file);
        if (folder === undefined) return;
        const known = labels.get(folder) ?? new Set();
        labels.set(folder, known.add(source.classes[items.labels[i]!]!));
      });
  const isSame =
    labels.size === outer.length && [...labels].every(([name, held]) => held.size === 1 && held.has(name));
  if (isSame) return source.validation === null && source.test === null;
  const distinct = [...labels.values()].flatMap((names) => [...names]);
  const isFiner = distinct.length > labels.size && new Set(distinct).size === distinct.length;
  if (isFiner && labels.size === outer.length)
    throw new UserError(
      `${place.root}: the folders ${listed(outer.map(({ name }) => name))} and ${parts[0]!.table.file} could both give the classes; choose with --format image-folder or --format csv`,
    );
  return false;
}

function unlabelledSplits(place: Place, splits: Map<SplitName, Folder[]>): UserError {
  const folders = [...splits.values()].flat().map(({ name }) => `${name}/`);
  const inside = lookedAt(othersOf(place), place.tables);
  return new UserError(
    `${place.root}: ${folders.join(', ')} are named after splits, but hold no class folders, and no table names their images with labels${inside}`,
  );
}

/** Every table but those that are used and the manifest, wherever it lies. */
function unusedTables({ whole }: Place, used: readonly Table[]): Unused[] {
  const files = new Set(used.map(({ file }) => file));
  const idle = [...allFolders(whole)]
    .flatMap(({ tables }) => tables)
    .filter(({ name, file }) => !files.has(file) && name !== MANIFEST);
  return unusedFiles(idle, 'table', 'it gives no labels to images', 'they give no labels to images');
}

function othersOf({ whole }: Place): OtherFiles[] {
  return otherFiles([...allFolders(whole)]);
}

/** Groups by path from a `manifest.csv` at the root; an empty cell puts the image into a separate group. */
function groupsOf({ root, tables, images, options }: Place): Groups | null {
  const manifest = tables.find(({ file }) => basename(file) === MANIFEST);
  if (!manifest) return null;
  const index = new ImageIndex(root, images);
  const group =
    options.csv.groupColumn === null
      ? chooseGroup(manifest, options.csv, [])
      : findColumn(manifest, options.csv.groupColumn, [], 'data.csv.groupColumn');
  const id = chooseId(manifest, { ...options.csv, idColumn: null }, index);
  if (id === null || group === null) return null;
  const { find } = index.finder(manifest.rows.map(({ values }) => values[id]!));
  const known = new Map(
    manifest.rows.flatMap(({ values, line }) => {
      const found = find(values[id]!, `${manifest.file} line ${line}`);
      return found ? [[found.id, values[group]! || found.id] as const] : [];
    }),
  );
  return (image) => {
    const name = known.get(image);
    if (name === undefined)
      throw new UserError(
        `${manifest.file}: has no row for ${image}, so its group is unknown; add the row, or remove the manifest to split without groups`,
      );
    return name;
  };
}
