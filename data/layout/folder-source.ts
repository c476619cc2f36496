/** Decides how to read a folder of images. Only strong evidence counts: folders named after splits, folders of images as
 * classes, tables whose rows name the images. Where two readings fit, a UserError asks; what no reading uses is named
 * and counted.
 */
import { basename } from 'node:path';
import type { DataConfig } from '../../config/data-config.ts';
import { UserError } from '../../common/errors.ts';
import type { Source } from '../source.ts';
import { listed, type Table } from '../table.ts';
import {
  askForLabels,
  chooseTables,
  type Listing,
  listingsOf,
  readableTables,
  refuseNamed,
  severalTables,
  splitOfTable,
} from './choose-tables.ts';
import {
  type ClassFolder,
  classesOfSplits,
  classFoldersIn,
  folderLayout,
  type Groups,
  readClassFolders,
  splitFolders,
  splitsInClasses,
  unusedIn,
  unwrapped,
} from './class-folders.ts';
import { chooseGroup, chooseId, hasLabels, listsImages } from './columns.ts';
import { refuseDoubtfulClasses, refuseRepeated, refuseStrays } from './doubtful-folders.ts';
import { ImageIndex } from './find-image.ts';
import { type Unread, type Unused, unusedFiles } from './layout.ts';
import { lookedAt, type OtherFiles, otherFiles } from './other-formats.ts';
import { SPLITS, splitOfName, type SplitName } from './names.ts';
import { readTables, type TablePart } from './table-source.ts';
import { allFolders, type Folder, type FoundImage, imagesOf, readTree, withImages } from './tree.ts';

export const MANIFEST = 'manifest.csv';

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
  /** Those that list images; none where tables are not read. */
  readonly listings: readonly Listing[];
  /** Those that cannot be read; tables of splits join them. */
  readonly unread: Unread[];
  readonly evidence: readonly string[];
  readonly images: readonly FoundImage[];
  readonly options: Options;
  readonly readings: Readings;
}

/** Reads the folder `root`; null when it holds no images. Throws UserError for what is unclear. */
export async function readFolder(root: string, options: Options, readings: Readings): Promise<Source | null> {
  const whole = await readTree(root);
  if (whole.imageCount === 0) return null;
  const found = await findTop(whole);
  const listings = readings.tables ? await listingsOf(whole, found.tables, options.csv) : [];
  const place = { ...found, listings, root, whole, images: imagesOf(whole), options, readings };
  const splits = splitFolders(place.top);
  const bySplit = splits && readings.tables ? await readSplitTables(place, splits) : null;
  if (bySplit) return bySplit;
  const { labelColumn, idColumn } = options.csv;
  const isNamed = place.tables.length + place.unread.length > 0 && (labelColumn ?? idColumn) !== null;
  if (readings.folders && !(readings.tables && isNamed)) {
    const inSplits = splits && readSplitFolders(place, splits);
    if (inSplits) return inSplits;
    const inClasses = splitsInClasses(place.top);
    if (inClasses) return readSubSplits(place, inClasses);
  }
  const chosen = tablesOf(place);
  if (chosen && !(readings.folders && foldersAgree(place, chosen))) return readChosen(place, chosen);
  const isOfSplits = splits !== null && splits.size > 1;
  if (!chosen && readings.tables) {
    const classes = readings.folders && !isOfSplits ? withImages(place.top).map(({ name }) => name) : [];
    askForLabels(place.listings, options.csv, classes);
    refuseNamed(root, place.tables, place.unread, options.csv);
  }
  if (isOfSplits) throw unlabelledSplits(place, splits);
  return readings.folders ? readClasses(place) : null;
}

/** Descends while a folder contains only one folder with images, if that leads to several, or to splits. */
async function findTop(whole: Folder): Promise<Pick<Place, 'top' | 'tables' | 'unread' | 'evidence'>> {
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
    ...(await readableTables(places.flatMap((folder) => folder.tables))),
    evidence: top === whole ? [] : chain.slice(1).map(({ name }) => `all images are in ${name}/`),
  };
}

/** `train/metadata.csv` beside the images of train, the same in the other splits (Hugging Face, Roboflow). */
async function readSplitTables(place: Place, splits: Map<SplitName, Folder[]>): Promise<Source | null> {
  const parts: TablePart[] = [];
  for (const [split, folders] of splits)
    for (const folder of folders) {
      const images = new ImageIndex(folder.file, imagesOf(folder));
      const { tables, unread } = await readableTables(folder.tables);
      place.unread.push(...unread);
      const listings = tables
        .filter((table) => listsImages(table, images) && hasLabels(table, place.options.csv, images))
        .map((table) => ({ table, images }));
      if (listings.length > 1) throw severalTables(folder.file, listings);
      if (listings[0]) parts.push({ ...listings[0], split, prefix: `${folder.name}/` });
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
  const { folders, unused, unlabelled, strange } = classesOfSplits(whole, splits);
  const problem = strange ?? onlyOneClass(place, folders);
  const chosen = problem || areLabelled(place, unlabelled) ? tablesOf(place) : null;
  if (chosen) return readChosen(place, chosen);
  for (const folder of [...splits.values()].flat()) refuseStrays(unwrapped(folder));
  if (problem) {
    askForLabels(place.listings, place.options.csv, []);
    throw problem;
  }
  unused.push(...unusedIn(top, [...splits.values()].flat(), 'split folders'));
  const labelled = SPLITS.filter((split) => folders.some((folder) => folder.split === split));
  const names = labelled.flatMap((split) => splits.get(split)!.map(({ name }) => `${split} from ${name}/`));
  const groups = groupsOf(place);
  const layout = folderLayout(
    'split folders',
    [...place.evidence, names.join(', ')],
    [...unused, ...unusedTables(place, groups.tables), ...othersOf(place)],
    whole.junkCount,
  );
  return readClassFolders(root, folders, groups.of, layout);
}

function readSubSplits(place: Place, folders: readonly ClassFolder[]): Source {
  refuseStrays(place.top);
  refuseRepeated(place.top, folders.filter(({ split }) => split === 'train')); // prettier-ignore
  const names = [...new Set(folders.map(({ folder, split }) => `${split} from */${folder.name}/`))];
  const prefix = place.top === place.whole ? '' : `${place.top.file.slice(place.whole.file.length + 1)}/`;
  const groups = groupsOf(place);
  const unused = [
    ...unusedIn(place.top, withImages(place.top), 'class folders'),
    ...unusedTables(place, groups.tables),
    ...othersOf(place),
  ]; // prettier-ignore
  return readClassFolders(
    place.root,
    folders.map((folder) => ({ ...folder, path: prefix + folder.path })),
    groups.of,
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
  const inside = lookedAt(others, place.tables, place.unread);
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
  const groups = groupsOf(place);
  const unused = [...unusedIn(top, folders.map(({ folder }) => folder), 'class folders'), ...unusedTables(place, groups.tables), ...others]; // prettier-ignore
  const evidence = [...place.evidence, `${folders.length} folders of images`];
  return readClassFolders(root, folders, groups.of, folderLayout('class folders', evidence, unused, whole.junkCount, doubts)); // prettier-ignore
}

function readChosen(place: Place, chosen: readonly TablePart[]): Source {
  const tables = chosen.map(({ table }) => table);
  return readTables(chosen, place.images, place.options, {
    evidence: place.evidence,
    unused: [...unusedTables(place, tables), ...othersOf(place)],
    junk: place.whole.junkCount,
  });
}

function tablesOf({ root, listings, images, options }: Place): TablePart[] | null {
  return chooseTables(root, listings, images, options.csv);
}

/** Whether a table labels the images of one of `splits`, by its name. */
function areLabelled({ listings, options }: Place, splits: readonly SplitName[]): boolean {
  const named = listings.filter(({ table }) => splits.includes(splitOfTable(table)!));
  return named.some(({ table, images }) => hasLabels(table, options.csv, images));
}

/**
 * Whether the folders say the same classes as the table, so that they can be read instead. Throws UserError when both
 * are classes but not the same.
 */
function foldersAgree(place: Place, parts: readonly TablePart[]): boolean {
  const { top } = place;
  const outer = withImages(top);
  if (outer.length < 2) return false;
  const csv = { ...place.options.csv, missingLabels: 'skip' } as const;
  const source = readChosen({ ...place, options: { csv, onBadImage: 'skip' } }, parts);
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
  const isAll = labels.size === outer.length;
  const isSame = isAll && [...labels].every(([name, held]) => held.size === 1 && held.has(name));
  if (isSame) return source.validation === null && source.test === null;
  const distinct = [...labels.values()].flatMap((names) => [...names]);
  const isApart = isAll && new Set(distinct).size === distinct.length;
  if (isApart && distinct.length === outer.length && source.skipped.length > 0) return true; // a part of a set, sorted by label
  if (isApart && distinct.length > outer.length)
    throw new UserError(
      `${place.root}: the folders ${listed(outer.map(({ name }) => name))} and ${parts[0]!.table.file} could both give the classes; choose with --format image-folder or --format csv`,
    );
  return false;
}

function unlabelledSplits(place: Place, splits: Map<SplitName, Folder[]>): UserError {
  const folders = [...splits.values()].flat().map(({ name }) => `${name}/`);
  const inside = lookedAt(othersOf(place), place.tables, place.unread);
  return new UserError(
    `${place.root}: ${folders.join(', ')} are named after splits, but hold no class folders, and no table names their images with labels${inside}`,
  );
}

/** Null where there are several classes, or no table lists images that could give some. */
function onlyOneClass(place: Place, folders: readonly ClassFolder[]): UserError | null {
  const [name, ...more] = new Set(folders.map((folder) => folder.name));
  if (more.length > 0 || place.listings.length === 0) return null;
  const inside = lookedAt(othersOf(place), place.tables, place.unread);
  return new UserError(
    `${place.root}: train has only the class '${name}', and no table names its images with labels${inside}`,
  );
}

/** Every table but those that are used, wherever it lies. */
function unusedTables({ whole, listings, unread, readings }: Place, used: readonly Table[]): Unused[] {
  const known = new Set([...used, ...listings.map(({ table }) => table), ...unread].map(({ file }) => file));
  const listing = listings.filter(({ table }) => !used.includes(table)).map(({ table: { file } }) => ({ name: basename(file) })); // prettier-ignore
  const others = [...allFolders(whole)]
    .flatMap(({ tables }) => tables)
    .filter(({ file }) => !known.has(file));
  const why = readings.tables ? 'no labels of images were found in' : '--format image-folder does not read';
  return [
    ...unread.flatMap((table) => unusedFiles([table], 'table', table.why)),
    ...unusedFiles(listing, 'table', 'it names images, but the labels come from elsewhere', 'they name images, but the labels come from elsewhere'),
    ...unusedFiles(others, 'table', `${why} it`, `${why} them`),
  ]; // prettier-ignore
}

function othersOf({ whole }: Place): OtherFiles[] {
  return otherFiles([...allFolders(whole)]);
}

/** Groups by path from a `manifest.csv` at the root, and that table; an empty cell puts the image into a separate group. */
function groupsOf({ root, tables, images, options }: Place): { of: Groups | null; tables: Table[] } {
  const manifest = tables.find(({ file }) => basename(file) === MANIFEST);
  if (!manifest) return { of: null, tables: [] };
  const index = new ImageIndex(root, images);
  const group = chooseGroup(manifest, options.csv, []);
  const id = chooseId(manifest, { idColumn: null }, index);
  if (id === null || group === null) return { of: null, tables: [] };
  const { find } = index.finder(manifest.rows.map(({ values }) => values[id]!));
  const known = new Map(
    manifest.rows.flatMap(({ values, line }) => {
      const found = find(values[id]!, `${manifest.file} line ${line}`, null);
      return found ? [[found.id, values[group]! || found.id] as const] : [];
    }),
  );
  const of = (image: string) => {
    const name = known.get(image);
    if (name === undefined)
      throw new UserError(
        `${manifest.file}: has no row for ${image}, so its group is unknown; add the row, or remove the manifest to split without groups`,
      );
    return name;
  };
  return { of, tables: [manifest] };
}
