/**
 * Files that stay whole: a reader sees the old or the new content, never half of it. A full disk, a missing
 * permission and a read-only volume are the user's to mend, so they become a `UserError` that names the path.
 */

import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { appendFile, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode, UserError } from './errors.ts';

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space or choose another folder',
  EDQUOT: 'the disk quota is used up: free some space or choose another folder',
  EACCES: 'permission denied: choose a folder that you may write to',
  EPERM: 'operation not permitted: choose a folder that you may write to',
  EROFS: 'the file system is read-only: choose another folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EEXIST: 'something else of that name is in the way',
  EISDIR: 'the path is a folder, not a file',
};

/** The error to throw when writing `path` failed: a `UserError` where the user can help, else `thrown` itself. */
export function writeFailure(path: string, thrown: unknown): unknown {
  const advice = ADVICE[errorCode(thrown) ?? ''];
  return advice === undefined ? thrown : new UserError(`Cannot write ${path}: ${advice}.`, { cause: thrown });
}

async function orWriteFailure<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw writeFailure(path, thrown);
  }
}

/** Makes a folder and its parents. @throws UserError when the user can help. */
export async function ensureDirectory(path: string): Promise<void> {
  await orWriteFailure(path, () => mkdir(path, { recursive: true }));
}

async function writeSynced(
  path: string,
  content: string | Uint8Array,
  flag = 'w',
  mode = 0o666,
): Promise<void> {
  const file = await open(path, flag, mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces `path` by `content` at once: written beside it, synced, renamed. Makes missing folders; leaves nothing
 * behind when it fails. @throws UserError when the user can help.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  await orWriteFailure(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeSynced(temporary, content);
      await rename(temporary, path);
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
  });
}

/** File systems without hard links answer one of these. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Creates `path` with `content` unless there is one: of all who try, one gets true, and a reader sees the whole content
 * or no file. Where the file system has no hard links a crash may leave half a file. `mode` is its permissions, less the
 * umask. @throws UserError as above.
 */
export async function writeFileExclusive(path: string, content: string, mode = 0o666): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  return orWriteFailure(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeSynced(temporary, content, 'w', mode);
      await link(temporary, path).catch(async (thrown: unknown) => {
        if (!NO_LINKS.has(errorCode(thrown) ?? '')) throw thrown;
        await writeSynced(path, content, 'wx', mode);
      });
      return true;
    } catch (thrown) {
      if (errorCode(thrown) === 'EEXIST') return false;
      throw thrown;
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

/** Appends `line` and a newline; `line` holds no newline itself. Makes missing folders. @throws UserError as above. */
export async function appendLine(path: string, line: string): Promise<void> {
  if (line.includes('\n')) throw new Error(`appendLine: the line for ${path} holds a newline`);
  await orWriteFailure(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await appendFile(path, line + '\n');
  });
}

/** Of files as they are now: another text when one of them was changed, replaced, made or removed. */
export function versionOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false, bigint: true });
      return found === undefined ? '-' : `${found.mtimeNs}/${found.ctimeNs}/${found.ino}/${found.size}`;
    })
    .join(' ');
}
