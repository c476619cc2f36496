/**
 * One process to a run folder: `run.lock` holds the id of the process that works in it. A lock whose process is gone
 * (killed, power lost) does not count.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, UserError } from '../common/errors.ts';
import { writeFailure } from '../common/files.ts';

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
  if (!(await created(path))) {
    await refuseLocked(dir);
    await rm(path, { force: true }); // left by a process that is gone
    if (!(await created(path))) await refuseLocked(dir); // another was quicker
  }
  return () => rm(path, { force: true });
}

/** Whether the lock file did not exist and now does, with this process's id. */
async function created(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false;
    throw writeFailure(path, thrown);
  }
}

async function holderOf(dir: string): Promise<number | null> {
  try {
    const pid = Number(await readFile(join(dir, LOCK_NAME), 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 && pid !== process.pid && isAlive(pid) ? pid : null;
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
