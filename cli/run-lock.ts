/**
 * One process to a run folder: `run.lock` holds the id of the process that works in it. A lock whose process is gone
 * (killed, power lost) does not count.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, UserError } from '../common/errors.ts';
import { writeFailure, writeFileExclusive } from '../common/files.ts';

export const LOCK_NAME = 'run.lock';

/** Throws UserError when a living process works in `dir`. */
export async function refuseLocked(dir: string): Promise<void> {
  const pid = await holderOf(dir);
  if (pid !== null)
    throw new UserError(
      `${dir}: process ${pid} is working in this folder; wait for it or choose another with --out ` +
        `(if ${pid} is no Ballast process, remove ${LOCK_NAME} there)`,
    );
}

/** Takes the folder for this process; returns what gives it back. Throws UserError when another has it. */
export async function lockRunFolder(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, LOCK_NAME);
  while (!(await writeFileExclusive(path, `${process.pid}\n`))) {
    await refuseLocked(dir);
    await removeLeft(path);
  }
  return async () => {
    if ((await pidIn(path)) === process.pid) await rm(path, { force: true });
  };
}

/** Removes a lock whose process is gone, and no other: of two who try, one may already hold the next lock. */
async function removeLeft(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    await rename(path, aside);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return; // another was quicker
    throw writeFailure(path, thrown);
  }
  const pid = await pidIn(aside);
  if (pid !== null && pid !== process.pid && isAlive(pid)) await link(aside, path).catch(() => undefined); // it was taken meanwhile: put back
  await rm(aside, { force: true });
}

async function holderOf(dir: string): Promise<number | null> {
  const pid = await pidIn(join(dir, LOCK_NAME));
  return pid !== null && pid !== process.pid && isAlive(pid) ? pid : null;
}

/** Null where there is no lock, or no process id in it. */
async function pidIn(path: string): Promise<number | null> {
  try {
    const pid = Number(await readFile(path, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return null;
    throw thrown;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // asks, sends nothing
    return true;
  } catch (thrown) {
    return errorCode(thrown) === 'EPERM'; // alive, another user's
  }
}
