/**
 * Atomic file writes: a reader sees the old or the new content, never a part of it. The user can fix a full disk, a
 * missing permission and a read-only volume, so these become a `UserError` that names the path.
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
  EEXIST: 'something else with that name already exists',
  EISDIR: 'the path is a folder, not a file',
};

/** The error to throw when writing `path` failed: a `UserError` if the user can fix it, otherwise `thrown` itself. */
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

/** Creates a folder and its parents. @throws UserError when the user can fix the cause. */
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
 * Replaces `path` by `content` atomically: writes it to a temporary file, syncs and renames it. Creates missing
 * folders; leaves nothing behind when it fails. @throws UserError when the user can fix the cause.
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

/** Errors of file systems without hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Creates `path` with `content` unless it exists: of all concurrent callers, one gets true, and a reader sees the whole
 * content or no file. On a file system without hard links a crash may leave a partial file. `mode` is its permissions,
 * less the umask. @throws UserError as above.
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

/** A fingerprint of files: it changes when one of them is changed, replaced, created or removed. */
export function versionOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false, bigint: true });
      return found === undefined ? '-' : `${found.mtimeNs}/${found.ctimeNs}/${found.ino}/${found.size}`;
    })
    .join(' ');
}
