/**
 * The content of a folder, read once: folders, images, tables and archives, in the same order on every machine, and
 * counts of everything else. If the name does not tell, content decides whether a file is an image. Links are followed,
 * but not in cycles. Refused: more images or folders than limits.ts allows, and unreadable folders.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { readableError, UserError } from '../../common/errors.ts';
import { looksLikeImage } from '../image-header.ts';
import { MAX_FOLDERS, MAX_IMAGES, MAX_WAYS_TO_FOLDER } from '../limits.ts';
import { compareNames } from '../natural-order.ts';
import { isJunk } from './names.ts';

/** Files with these extensions are taken for images without a check; other content is reported when it is decoded. */
const IMAGE_EXTENSIONS = new Set([
  ...['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.tif', '.tiff', '.gif', '.avif', '.bmp', '.dib'],
  ...['.pgm', '.ppm', '.pnm', '.pbm', '.heic', '.heif', '.jp2', '.j2k', '.jxl', '.dcm', '.dicom'],
]);
const TABLE_EXTENSIONS = new Set(['.csv', '.tsv', '.tab', '.jsonl', '.ndjson']);
const MAX_DEPTH = 16;

/** Whether a file is a table, by its name. */
export function isTable(name: string): boolean {
  return TABLE_EXTENSIONS.has(extname(name).toLowerCase());
}

/** Whether a file is an image, by its name. */
export function hasImageEnding(name: string): boolean {
  return IMAGE_EXTENSIONS.has(extname(name).toLowerCase());
}

export interface Entry {
  /** In NFC. */
  readonly name: string;
  readonly file: string;
}

export interface Folder extends Entry {
  readonly folders: readonly Folder[];
  readonly images: readonly Entry[];
  readonly tables: readonly Entry[];
  readonly archives: readonly Entry[];
  /** Other files, without those of systems and devices. */
  readonly others: readonly Entry[];
  /** Images in it and below. */
  readonly imageCount: number;
  /** Files of systems and devices in it and below. */
  readonly junkCount: number;
}

export interface FoundImage {
  /** Path from the folder that was asked, with `/`, in NFC. */
  readonly id: string;
  readonly file: string;
}

/** Reads everything under `root`. Throws UserError for unreadable folders, cycles, and sets beyond the limits. */
export async function readTree(root: string): Promise<Folder> {
  return new Walk(root).visit(root, '', []);
}

/** All images of `folder`: its own first, then those of its folders. */
export function imagesOf(folder: Folder): FoundImage[] {
  const found: FoundImage[] = [];
  const visit = ({ images, folders }: Folder, prefix: string): void => {
    for (const { name, file } of images) found.push({ id: prefix + name, file });
    for (const inner of folders) visit(inner, `${prefix}${inner.name}/`);
  };
  visit(folder, '');
  return found;
}

/** The folders in `folder` that have images, in them or below. */
export function withImages({ folders }: Folder): Folder[] {
  return folders.filter(({ imageCount }) => imageCount > 0);
}

/** `folder` and all folders below it. */
export function* allFolders(folder: Folder): Generator<Folder> {
  yield folder;
  for (const inner of folder.folders) yield* allFolders(inner);
}

class Walk {
  readonly #root: string;
  readonly #waysTo = new Map<string, number>();
  #folders = 0;
  #images = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** `above`: real paths of its ancestor folders. */
  async visit(path: string, name: string, above: readonly string[]): Promise<Folder> {
    const real = await readable(path, () => realpath(path));
    this.#check(path, real, above);
    const entries = await readable(path, () => readdir(path, { withFileTypes: true }));
    const kinds = { folders: [], images: [], tables: [], archives: [], others: [] } as Record<Kind, Entry[]>;
    let junkCount = 0;
    for (const entry of entries) {
      const file = join(path, entry.name);
      const isDirectory = entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(file)));
      if (isJunk(entry.name)) junkCount += isDirectory ? await countFiles(file) : 1;
      else if (isDirectory) kinds.folders.push({ name: entry.name.normalize('NFC'), file });
      else kinds[await kindOf(entry.name, file)].push({ name: entry.name.normalize('NFC'), file });
    }
    for (const list of Object.values(kinds)) list.sort((a, b) => compareNames(a.name, b.name));
    if ((this.#images += kinds.images.length) > MAX_IMAGES)
      throw new UserError(`${this.#root}: has more than ${MAX_IMAGES} images`);
    const folders: Folder[] = [];
    for (const inner of kinds.folders)
      folders.push(await this.visit(inner.file, inner.name, [...above, real]));
    return {
      ...kinds,
      name,
      file: path,
      folders,
      imageCount: kinds.images.length + sum(folders, ({ imageCount }) => imageCount),
      junkCount: junkCount + sum(folders, (inner) => inner.junkCount),
    };
  }

  #check(path: string, real: string, above: readonly string[]): void {
    if (above.includes(real))
      throw new UserError(`${path}: is a link to a folder that contains it; remove it`);
    const ways = (this.#waysTo.get(real) ?? 0) + 1;
    this.#waysTo.set(real, ways);
    if (ways > MAX_WAYS_TO_FOLDER)
      throw new UserError(`${path}: more than ${MAX_WAYS_TO_FOLDER} links lead to this folder; remove some`);
    if (++this.#folders > MAX_FOLDERS)
      throw new UserError(`${this.#root}: has more than ${MAX_FOLDERS} folders`);
    if (above.length > MAX_DEPTH)
      throw new UserError(`${path}: is more than ${MAX_DEPTH} folders deep in ${this.#root}; move it up`);
  }
}

type Kind = 'folders' | 'images' | 'tables' | 'archives' | 'others';

async function kindOf(name: string, file: string): Promise<Exclude<Kind, 'folders'>> {
  const extension = extname(name).toLowerCase();
  if (hasImageEnding(name)) return 'images';
  if (isTable(name)) return 'tables';
  if (extension === '.npz') return 'archives';
  if (await looksLikeImage(file)) return 'images';
  return /metadata|labels|annotations/i.test(name) && extension === '' ? 'tables' : 'others';
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    throw readableError(thrown, path);
  }
}

/** Files in `folder` and below; unreadable ones count as one. */
async function countFiles(folder: string): Promise<number> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, recursive: true });
    return entries.filter((entry) => !entry.isDirectory()).length;
  } catch {
    return 1;
  }
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}
