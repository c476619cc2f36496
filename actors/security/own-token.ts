/**
 * The credential of processes that are told of none: a token in a file that only their user can read, made by whichever
 * comes first. All processes of one user on one machine find it by themselves; nobody else's do. With TLS files, a token
 * file of one's own, or BALLAST_INSECURE=1 there is none.
 */

import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { INSECURE_KEY, TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY } from './security.ts';
import type { Environment } from './security.ts';

const FILE = 'node-token';
const TOKEN_BYTES = 32;
/** Why a folder cannot be made in a home that is none: another is taken then. */
const NO_HOME = ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR'];

/** The environment, with the user's own token file where it names no credential. @throws UserError as `ownTokenFile` */
export function withOwnToken(environment: Environment): Environment {
  const named = [TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY].some((key) => environment[key]);
  if (named || environment[INSECURE_KEY] === '1') return environment;
  return { ...environment, [TOKEN_KEY]: ownTokenFile(environment) };
}

/**
 * Path of the user's token file, `$XDG_STATE_HOME/ballast/node-token` (`~/.local/state/…`; in the temporary folder where
 * there is no home), made if it is not there. @throws UserError when others could read or replace it.
 */
export function ownTokenFile(environment: Environment = process.env): string {
  const folder = ownFolder(environment);
  const path = join(folder, FILE);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) makeToken(folder, path);
  const stats = lstatSync(path);
  checkOwner(path, stats);
  if (!stats.isFile())
    throw new UserError(`${path}: it is no file; delete it, and the next start makes one.`);
  if ((stats.mode & 0o077) !== 0) {
    throw new UserError(
      `${path}: others can read this token (mode ${modeOf(stats)}); delete it, and the next start makes another.`,
    );
  }
  return path;
}

function ownFolder({ XDG_STATE_HOME: state, HOME }: Environment): string {
  const home = state !== undefined && isAbsolute(state) ? state : join(HOME || homedir(), '.local/state');
  const folders = [join(home, 'ballast'), join(tmpdir(), `ballast-${process.geteuid?.() ?? 'user'}`)];
  const problems: string[] = [];
  for (const folder of folders) {
    try {
      return privateFolder(folder);
    } catch (thrown) {
      if (!NO_HOME.includes(errorCode(thrown) ?? '')) throw thrown;
      problems.push(toError(thrown).message);
    }
  }
  const remedy = `set HOME to a folder of your own, or ${TOKEN_KEY} to a file with a token`;
  throw new UserError(`No folder for this user's token (${problems.join('; ')}): ${remedy}.`);
}

function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stats = lstatSync(folder);
  checkOwner(folder, stats);
  if (!stats.isDirectory()) throw new UserError(`${folder}: it must be a folder of your own; delete it.`);
  if ((stats.mode & 0o022) !== 0) {
    throw new UserError(`${folder}: others can write in it (mode ${modeOf(stats)}); run chmod 700 on it.`);
  }
  return folder;
}

/** Whole or not at all, and never in place of one that is there: of two processes, one makes it. */
function makeToken(folder: string, path: string): void {
  const draft = join(folder, `.${FILE}-${randomBytes(8).toString('hex')}`);
  try {
    writeFileSync(draft, `${randomBytes(TOKEN_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    linkSync(draft, path);
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return;
    throw new UserError(`${path}: a token cannot be written (${toError(thrown).message}).`, {
      cause: thrown,
    });
  } finally {
    rmSync(draft, { force: true });
  }
}

function checkOwner(path: string, { uid }: Stats): void {
  const own = process.geteuid?.();
  if (own !== undefined && uid !== own) {
    throw new UserError(
      `${path}: it belongs to another user (uid ${uid}), who may know what is in it; move it away.`,
    );
  }
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o777).toString(8);
}
