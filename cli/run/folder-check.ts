/**
 * Decides whether a folder may become a run's: files are never overwritten without a flag, and files that no run wrote
 * never at all.
 */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, UserError } from '../../common/errors.ts';
import { ensureDirectory } from '../../common/files.ts';
import { refuseForeignFolder } from '../../common/private-file.ts';
import { NODE_FILE } from '../cluster/node-file.ts';
import { LOCK_NAME, refuseLocked } from './lock.ts';

/** Everything that a run or a comparison writes at the top of its folder. */
const OWN_NAMES = new Set([
  'checkpoints',
  'classes.json',
  'config.json',
  'confusion.png',
  'environment.json',
  'events.jsonl',
  'grids',
  'learning-curves.png',
  'logs',
  'metrics.jsonl',
  'model',
  'predictions-development.csv',
  'predictions-test.csv',
  'predictions-validation.csv',
  'report.html',
  'report.json',
  LOCK_NAME,
  NODE_FILE,
]);
/** Files of a run that failed before it began; none has any value. */
const PREAMBLE = new Set(['events.jsonl', 'logs', 'metrics.jsonl', LOCK_NAME, NODE_FILE]);

/**
 * Makes `dir` ready for a new run. Throws UserError when it holds anything, unless `overwrite` and all of it is a run's
 * own (then it is removed).
 */
export async function prepareRunFolder(dir: string, overwrite: boolean): Promise<void> {
  refuseForeignFolder(dir);
  await refuseLocked(dir);
  const names = await namesIn(dir);
  if (names.every((name) => PREAMBLE.has(name))) return ensureDirectory(dir);
  const foreign = names.find((name) => !OWN_NAMES.has(name));
  if (foreign !== undefined)
    throw new UserError(
      `${dir} holds files that no run wrote (${foreign}); choose another folder with --out`,
    );
  if (!overwrite)
    throw new UserError(
      `${dir} already holds a run; continue it with --resume ${dir}, replace it with --overwrite, ` +
        'or choose another folder with --out',
    );
  for (const name of names) await rm(join(dir, name), { recursive: true });
}

/** Throws UserError when `dir` holds no run to continue. */
export function checkResumable(dir: string): void {
  if (!existsSync(dir)) throw new UserError(`${dir}: there is no such run folder to resume`);
  refuseForeignFolder(dir);
  if (!existsSync(join(dir, 'config.json')))
    throw new UserError(`${dir} is not a run folder: it has no config.json`);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return [];
    if (errorCode(thrown) === 'ENOTDIR') throw new UserError(`${dir} is a file; choose a folder with --out`);
    throw thrown;
  }
}
