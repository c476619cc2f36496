/** Finds the reader of a source: by the configured format, else by what lies at the path. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { isManifest, readCsv } from './csv.ts';
import { FASHION_MNIST, FASHION_MNIST_CLASSES, readFashionMnist, type Places } from './fashion-mnist.ts';
import { isIdxFolder, readIdxFolder } from './idx.ts';
import { hasClassFolders, MANIFEST, readImageFolder, trainFolder } from './image-folder.ts';
import { isFolder, listFolder, listImages } from './image-files.ts';
import { readNpz } from './npz.ts';
import type { Items, SkippedImage, Source } from './source.ts';

type Format = Exclude<DataConfig['format'], 'auto'>;

/** Reads the source that `config` names. Throws UserError when it is missing or of no known format. */
export async function openSource(config: DataConfig, places: Places): Promise<Source> {
  if (config.source === FASHION_MNIST) return readFashionMnist(places);
  return openPath(config, config.source, 'data.source');
}

/** The test images at `path` (its test split where it has one, else all), with labels in terms of `classes`. */
export async function openTest(
  config: DataConfig,
  path: string,
  classes: readonly string[],
): Promise<{ items: Items; skipped: readonly SkippedImage[] }> {
  const source = await openPath(config, path, 'data.test');
  const items = source.test ?? source.train;
  const positions = source.classes.map((name) => classes.indexOf(name));
  const labels = items.labels.map((label) => {
    if (positions[label] === -1)
      throw new UserError(
        `${path}: class '${source.classes[label]}' is not among the train classes (${classes.join(', ')})`,
      );
    return positions[label]!;
  });
  return { items: { ...items, labels, ids: items.ids.map((id) => `test:${id}`) }, skipped: source.skipped };
}

async function openPath(config: DataConfig, path: string, field: string): Promise<Source> {
  if (!existsSync(path))
    throw new UserError(
      `${path}: no such file or folder (${field}); give the path of a folder, a .csv or a .npz file, or '${FASHION_MNIST}'`,
    );
  const found = await detect(path);
  const format = config.format === 'auto' ? found?.format : config.format;
  const file = found && found.format === format ? found.path : path;
  if (format === undefined)
    throw new UserError(
      `${path}: holds no data of a known format; expected <class>/*.jpg, train/<class>/*.jpg, a CSV of image names and labels, a MedMNIST .npz or IDX files`,
    );
  return readAs(format, file, config);
}

async function readAs(format: Format, path: string, config: DataConfig): Promise<Source> {
  const wantsFolder = format === 'image-folder' || format === 'idx';
  if (wantsFolder !== (await isFolder(path)))
    throw new UserError(
      `${path}: format ${format} needs ${wantsFolder ? 'a folder' : `a .${format} file, or a folder with just one`}`,
    );
  switch (format) {
    case 'image-folder':
      return readImageFolder(path, config.csv.groupColumn);
    case 'csv':
      return readCsv(path, config.csv, config.onBadImage);
    case 'npz':
      return readNpz(path);
    case 'idx':
      return readIdxFolder(path, config.source === FASHION_MNIST ? FASHION_MNIST_CLASSES : null);
    default:
      return format satisfies never;
  }
}

/** The format of what lies at `path` and the file or folder to read; null when unknown. */
async function detect(path: string): Promise<{ format: Format; path: string } | null> {
  if (!(await isFolder(path))) {
    if (/\.npz$/i.test(path)) return { format: 'npz', path };
    if (/\.csv$/i.test(path)) return { format: 'csv', path };
    return null;
  }
  if (isIdxFolder(path)) return { format: 'idx', path };
  if ((await trainFolder(path)) !== null) return { format: 'image-folder', path };
  const { tables, archives } = await listFolder(path);
  const manifest = await chooseManifest(
    path,
    tables.filter((name) => name !== MANIFEST),
  );
  if (manifest !== null) return { format: 'csv', path: manifest };
  if (await hasClassFolders(path)) return { format: 'image-folder', path };
  if (tables.includes(MANIFEST)) return { format: 'csv', path: join(path, MANIFEST) };
  if (archives.length === 1) return { format: 'npz', path: join(path, archives[0]!) };
  return null;
}

/** The CSV file of `folder` that lists its images: train.csv, else the only one that looks like it. */
async function chooseManifest(folder: string, tables: readonly string[]): Promise<string | null> {
  const manifests: string[] = [];
  const images = tables.length === 0 ? 0 : (await listImages(folder)).length;
  for (const name of tables) if (await isManifest(join(folder, name), images)) manifests.push(name);
  const chosen = manifests.find((name) => name.toLowerCase() === 'train.csv') ?? manifests[0];
  if (chosen === undefined) return null;
  if (manifests.length > 1 && chosen.toLowerCase() !== 'train.csv')
    throw new UserError(
      `${folder}: ${manifests.join(', ')} all list images; name the right one as data.source (--data)`,
    );
  return join(folder, chosen);
}
