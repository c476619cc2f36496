/**
 * Finds image files on disk, in one order on every machine. Hidden files are not looked at; links are followed, but not
 * round in a circle. Refused: more images or folders than limits.ts allows.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { MAX_FOLDERS, MAX_IMAGES, MAX_WAYS_TO_FOLDER } from './limits.ts';
import { compareNames } from './natural-order.ts';

/** Formats that cannot be decoded are listed too, so that they are reported as bad images and not passed over. */
const IMAGE_EXTENSIONS = new Set([
  ...['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff'],
  ...['.bmp', '.gif', '.heic', '.jp2', '.dcm', '.ppm', '.pgm'],
]);
const MAX_DEPTH = 6;

export function isImageName(name: string): boolean {
  return IMAGE_EXTENSIONS.has(extname(name).toLowerCase());
}

/** Names of the folders in `folder`, and of its image and CSV files, each in natural order. */
export async function listFolder(
  folder: string,
): Promise<{ folders: string[]; images: string[]; tables: string[]; archives: string[] }> {
  const listing = { folders: [], images: [], tables: [], archives: [] } as Record<
    'folders' | 'images' | 'tables' | 'archives',
    string[]
  >;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue;
    const isLinkedFolder = entry.isSymbolicLink() && (await isFolder(join(folder, entry.name)));
    if (entry.isDirectory() || isLinkedFolder) listing.folders.push(entry.name);
    else if (isImageName(entry.name)) listing.images.push(entry.name);
    else if (entry.name.toLowerCase().endsWith('.csv')) listing.tables.push(entry.name);
    else if (entry.name.toLowerCase().endsWith('.npz')) listing.archives.push(entry.name);
  }
  for (const names of Object.values(listing)) names.sort(compareNames);
  return listing;
}

/**
 * Paths of all image files under `folder`, relative to it, with `/`; at most `MAX_DEPTH` folders deep.
 * Throws UserError for a link that leads back, and beyond the limits.
 */
export async function listImages(folder: string): Promise<string[]> {
  const found: string[] = [];
  const waysTo = new Map<string, number>();
  let folders = 0;
  const visit = async (path: string, prefix: string, above: readonly string[]): Promise<void> => {
    const real = await realpath(path);
    if (above.includes(real))
      throw new UserError(`${path}: is a link to a folder that it lies in; remove it`);
    const ways = (waysTo.get(real) ?? 0) + 1;
    waysTo.set(real, ways);
    if (ways > MAX_WAYS_TO_FOLDER)
      throw new UserError(`${path}: more than ${MAX_WAYS_TO_FOLDER} links lead to this folder; remove some`);
    if (++folders > MAX_FOLDERS) throw new UserError(`${folder}: has more than ${MAX_FOLDERS} folders`);
    const listing = await listFolder(path);
    for (const name of listing.images) found.push(prefix + name);
    if (found.length > MAX_IMAGES) throw new UserError(`${folder}: has more than ${MAX_IMAGES} images`);
    if (above.length >= MAX_DEPTH) return;
    for (const name of listing.folders) await visit(join(path, name), `${prefix}${name}/`, [...above, real]);
  };
  await visit(folder, '', []);
  return found;
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
