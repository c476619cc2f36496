/** Paths that a client of the API may name: those in the coordinator's data folders. */
import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { UserError } from '../common/errors.ts';

/** Resolves a path, against each folder in turn where it is relative; what it really is must lie in one of them. */
export function confineTo(folders: readonly string[]): (path: string) => Promise<string> {
  return async (path) => {
    if (folders.length === 0) throw new UserError('this coordinator has no data folder (--data)');
    for (const folder of folders) {
      const candidate = isAbsolute(path) ? resolve(path) : join(folder, path);
      const [real, root] = await Promise.all([realOf(candidate), realOf(folder)]);
      if (real !== null && root !== null && isInside(real, root)) return real;
    }
    throw new UserError('not found in the coordinator’s data folders');
  };
}

async function realOf(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
