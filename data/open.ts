/** Finds the reader of a source: by the configured format, otherwise by the content of the path. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { readStart } from '../common/bounded-file.ts';
import { errorCode, readableError, UserError } from '../common/errors.ts';
import type { DataConfig } from '../config/data-config.ts';
import { FASHION_MNIST, FASHION_MNIST_CLASSES, readFashionMnist, type Places } from './fashion-mnist.ts';
import { isIdxFolder, readIdxFolder } from './idx.ts';
import { looksLikeImage } from './image-header.ts';
import { readableTables } from './layout/choose-tables.ts';
import { ImageIndex } from './layout/find-image.ts';
import { readFolder } from './layout/folder-source.ts';
import type { Layout } from './layout/layout.ts';
import { lookedAt, otherFiles, otherFormat } from './layout/other-formats.ts';
import { readTables } from './layout/table-source.ts';
import { allFolders, imagesOf, isFolder, readTree } from './layout/tree.ts';
import { MAX_ARCHIVE_BYTES } from './limits.ts';
import { readNpz } from './npz.ts';
import type { Items, SkippedImage, Source } from './source.ts';
import { listed, readTable } from './table.ts';

/** Reads the source that `config` names. Throws UserError when it is missing, unclear or of no known format. */
export async function openSource(config: DataConfig, places: Places): Promise<Source> {
  if (config.source === FASHION_MNIST) return readFashionMnist(places);
  return openPath(config, config.source, 'data.source');
}

export interface OutsideTest {
  readonly items: Items;
  readonly skipped: readonly SkippedImage[];
  /** What is not used, and doubts, as those of the data. */
  readonly layout: Pick<Layout, 'unused' | 'doubts'>;
}

/** The test images at `path` (its test split if it has one, otherwise train), with labels in terms of the classes of `data`. */
export async function openTest(config: DataConfig, path: string, data: Source): Promise<OutsideTest> {
  const source = await openBeside(config, path, data.train);
  const items = source.test ?? source.train;
  const { classes } = data;
  const positions = source.classes.map((name) => classes.indexOf(name));
  const labels = items.labels.map((label) => {
    if (positions[label] === -1)
      throw new UserError(
        `${path}: class '${source.classes[label]}' is not among the train classes (${listed(classes)})`,
      );
    return positions[label]!;
  });
  const { unused, doubts } = source.layout;
  return {
    items: { ...items, labels, ids: items.ids.map((id) => `test:${id}`) },
    skipped: source.skipped,
    layout: {
      unused: unused.map((each) => ({ ...each, what: `test: ${each.what}` })),
      doubts: [...doubts, ...splitsLeftOut(path, source, items), ...ownTestLeftOut(path, data)].map((line) => `test: ${line}`), // prettier-ignore
    },
  };
}

function splitsLeftOut(path: string, { train, validation, test }: Source, used: Items): string[] {
  const others = Object.entries({ train, validation }).filter(([, items]) => items && items !== used);
  const counts = others.map(([name, items]) => `${items!.labels.length} images of ${name}`);
  const which = test ? 'its test split' : 'its train split';
  return counts.length > 0 ? [`of ${path} only ${which} is used, not ${counts.join(' and ')}`] : [];
}

function ownTestLeftOut(path: string, { test }: Source): string[] {
  return test ? [`the data's own test split of ${test.labels.length} images is not used: ${path} is`] : [];
}

/**
 * Reads `path` with the settings for the data. The folder of images may hold those of train only; then names are looked
 * up beside the table. Named columns may be those of the data only; then the folders of `path` are read.
 */
async function openBeside(config: DataConfig, path: string, train: Items): Promise<Source> {
  const { images, labelColumn, idColumn } = config.csv;
  const own: DataConfig = { ...config, csv: { ...config.csv, images: null } };
  const ways = images === null ? [config] : [config, own];
  if ((labelColumn ?? idColumn) !== null && config.format === 'auto' && (await isFolder(path)))
    ways.push({ ...own, format: 'image-folder' });
  let problem: UserError | null = null;
  for (const way of ways)
    try {
      const source = await openPath(way, path, 'data.test');
      if (way.csv.images === null || !isMostly(source.test ?? source.train, train)) return source;
      problem = new UserError(
        `${path}: most images that it names are train images under ${images}; put it beside the test images`,
      );
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problem ??= error;
    }
  throw problem!;
}

/** Whether more than half of the files of `items` are files of `train`. */
function isMostly({ pixels }: Items, { pixels: trained }: Items): boolean {
  if (pixels.kind !== 'files' || trained.kind !== 'files') return false;
  const known = new Set(trained.files);
  return pixels.files.filter((file) => known.has(file)).length > pixels.files.length / 2;
}

async function openPath(config: DataConfig, path: string, field: string): Promise<Source> {
  const { format } = config;
  await checkThere(path, field);
  const isDirectory = await isFolder(path);
  const wantsFolder = format === 'image-folder' || format === 'idx';
  if (wantsFolder && !isDirectory) throw new UserError(`${path}: format ${format} needs a folder`);
  return isDirectory ? openFolder(config, path) : openFile(config, path);
}

async function checkThere(path: string, field: string): Promise<void> {
  try {
    await stat(path);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw readableError(thrown, path);
    throw new UserError(
      `${path}: no such file or folder (${field}); give the path of a folder, a .csv or a .npz file, or '${FASHION_MNIST}'`,
    );
  }
}

async function openFolder(config: DataConfig, path: string): Promise<Source> {
  const { format } = config;
  if (format === 'idx' || (format === 'auto' && isIdxFolder(path)))
    return readIdxFolder(path, config.source === FASHION_MNIST ? FASHION_MNIST_CLASSES : null);
  if (format !== 'npz') {
    const readings = { tables: format !== 'image-folder', folders: format !== 'csv' };
    const source = await readFolder(path, config, readings);
    if (source) return source;
  }
  const tree = await readTree(path);
  const archives = format === 'auto' || format === 'npz' ? tree.archives : [];
  if (archives.length > 1)
    throw new UserError(
      `${path}: holds ${archives.length} NPZ files (${listed(archives.map(({ name }) => name))}); name one as data.source (--data ${archives[0]!.file})`,
    );
  if (archives[0]) return readNpz(archives[0].file);
  if (format === 'npz' || format === 'csv')
    throw new UserError(`${path}: format ${format} needs a .${format} file, or a folder with just one`);
  const below = [...allFolders(tree)];
  const { tables, unread } = await readableTables(below.flatMap((folder) => folder.tables));
  throw new UserError(
    `${path}: holds no data of a known format${lookedAt(otherFiles(below), tables, unread)}; expected <class>/*.jpg, train/<class>/*.jpg, a CSV of image names and labels, a MedMNIST .npz or IDX files`,
  );
}

/**
 * A file is recognised by its first bytes: an NPZ is a zip, an image is not a data set, everything else should be a
 * table.
 */
async function openFile(config: DataConfig, path: string): Promise<Source> {
  const { format } = config;
  if (
    format === 'npz' ||
    (format === 'auto' &&
      (/\.npz$/i.test(path) || (otherFormat(basename(path)) === null && (await isZip(path)))))
  )
    return readNpz(path);
  if (await looksLikeImage(path))
    throw new UserError(`${path}: is one image; give the folder of all images, or a table that lists them`);
  if (/idx\d[-.]ubyte/i.test(path))
    throw new UserError(`${path}: is one IDX file; give its folder, ${dirname(path)}`);
  const other = otherFormat(basename(path));
  if (other !== null) throw new UserError(`${path}: is not read (${other.noun}): ${other.remedy}`);
  const table = await readTable(path);
  const folder = config.csv.images ?? dirname(path);
  if (!(await isFolder(folder))) throw new UserError(`${folder}: no such folder (data.csv.images)`);
  const tree = await readTree(folder);
  const images = imagesOf(tree);
  const part = { table, images: new ImageIndex(folder, images), split: null, prefix: '' };
  return readTables([part], images, config, { evidence: [], unused: [], junk: tree.junkCount });
}

async function isZip(path: string): Promise<boolean> {
  try {
    return (await readStart(path, 4, MAX_ARCHIVE_BYTES)).toString('latin1') === 'PK\x03\x04';
  } catch {
    return false;
  }
}
