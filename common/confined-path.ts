/**
 * Confines paths from clients of the API to declared folders: after all symbolic links are resolved, the target must be
 * inside one of them. A client that names a path outside gets the same answer whether it exists or not.
 *
 * Not covered: an attacker who can write into those folders and adds links between this check and the read.
 */
import { realpathSync } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { UserError } from './errors.ts';
import { clippedText } from './plain-text.ts';

/** Maximum number of entries examined in a folder and its subfolders; a larger folder is refused. */
export const MAX_TREE_ENTRIES = 20_000_000;
/** Deeper than readers of images descend. */
const MAX_TREE_DEPTH = 32;

/**
 * The real path of `path`: absolute, or relative to one of `roots` (the first that has it). `field` begins messages.
 * @throws UserError for a path outside, or one that does not exist.
 */
export async function confinePath(path: string, roots: readonly string[], field: string): Promise<string> {
  const realRoots = await realRootsOf(roots);
  const isInside = (real: string) => realRoots.some((root) => isWithin(root, real));
  let isMissing = false;
  for (const candidate of candidates(path, roots)) {
    const { real, isThere } = await realPart(candidate);
    if (!isInside(real)) continue;
    if (isThere) return real;
    isMissing = true;
  }
  if (isMissing) throw new UserError(`${field} '${clippedText(path, 200)}': no such file or folder`);
  const where =
    roots.length === 0
      ? 'this server was given no folders to read (--data)'
      : 'it is in none of the folders that this server may read (--data)';
  throw new UserError(`${field} '${clippedText(path, 200)}': ${where}`);
}

function candidates(path: string, roots: readonly string[]): string[] {
  if (path === '' || path.includes('\0')) return [];
  return isAbsolute(path) ? [resolve(path)] : roots.map((root) => resolve(root, path));
}

/** The real path; for a missing one, that of its innermost existing folder. */
async function realPart(path: string): Promise<{ readonly real: string; readonly isThere: boolean }> {
  for (let part = path; ; part = dirname(part)) {
    const real = await realOrNull(part);
    if (real !== null) return { real, isThere: part === path };
    if (part === dirname(part)) return { real: part, isThere: false };
  }
}

/**
 * The same, and for a folder also everything in it: no link in it may lead out of `roots` or into a cycle.
 * @throws UserError naming the link.
 */
export async function confineTree(path: string, roots: readonly string[], field: string): Promise<string> {
  const real = await confinePath(path, roots, field);
  const walk = new TreeWalk(await realRootsOf(roots), field);
  if ((await stat(real)).isDirectory()) await walk.visit(real, [real], '');
  return real;
}

class TreeWalk {
  readonly #roots: readonly string[];
  readonly #field: string;
  readonly #seen = new Set<string>();
  #entries = 0;

  constructor(roots: readonly string[], field: string) {
    this.#roots = roots;
    this.#field = field;
  }

  /** `above`: real paths of the folder and of its ancestors; `name`: its path from the start of the walk. */
  async visit(folder: string, above: readonly string[], name: string): Promise<void> {
    if (this.#seen.has(folder)) return;
    this.#seen.add(folder);
    if (above.length > MAX_TREE_DEPTH) this.#refuse(name, `lies more than ${MAX_TREE_DEPTH} folders deep`);
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (++this.#entries > MAX_TREE_ENTRIES)
        this.#refuse(name, `holds more than ${MAX_TREE_ENTRIES} entries`);
      const at = name === '' ? entry.name : `${name}/${entry.name}`;
      if (entry.isDirectory()) {
        const inner = join(folder, entry.name);
        await this.visit(inner, [...above, inner], at);
      } else if (entry.isSymbolicLink()) await this.#follow(join(folder, entry.name), above, at);
    }
  }

  async #follow(link: string, above: readonly string[], name: string): Promise<void> {
    const real = await realOrNull(link);
    if (real === null || !this.#roots.some((root) => isWithin(root, real)))
      return this.#refuse(name, 'is a link that leads nowhere, or out of the readable folders');
    if (above.includes(real)) return this.#refuse(name, 'is a link to a folder that contains it');
    if ((await stat(real)).isDirectory()) await this.visit(real, [...above, real], name);
  }

  #refuse(name: string, why: string): never {
    throw new UserError(`${this.#field}: ${clippedText(name, 200)} ${why}; refused`);
  }
}

/** Whether `path` is `folder` or inside it; both are absolute. */
export function isWithin(folder: string, path: string): boolean {
  const between = relative(folder, path);
  return between === '' || (between !== '..' && !between.startsWith(`..${sep}`) && !isAbsolute(between));
}

/**
 * A real path inside one of `roots`, relative to that root, in the form that `confinePath` accepts. Other paths are
 * unchanged.
 */
export function pathWithin(path: string, roots: readonly string[]): string {
  if (!isAbsolute(path)) return path;
  const root = roots.map(realSync).find((real) => isWithin(real, path));
  if (root === undefined) return path;
  return relative(root, path) || (root === realSync(roots[0]!) ? '.' : path);
}

/** The real path; for a missing file, the path itself. */
function realSync(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

async function realRootsOf(roots: readonly string[]): Promise<string[]> {
  const real = await Promise.all(roots.map((root) => realOrNull(resolve(root))));
  return real.filter((root) => root !== null);
}

async function realOrNull(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch {
    return null;
  }
}
