/**
 * The default credential: a token in a file that only its user can read, created by the first process that needs it.
 * All processes of one user on one machine find it by themselves; other users cannot. It is not used with TLS files,
 * with an explicit token file, or with BALLAST_INSECURE=1.
 */

import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { INSECURE_KEY, TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY } from './security.ts';
import type { Environment } from './security.ts';

const FILE = 'node-token';
const TOKEN_BYTES = 32;
/** Errors of an unusable home folder, after which another folder is tried. */
const NO_HOME = ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR'];

/** The environment, with the user's own token file if it names no credential. @throws UserError as `ownTokenFile` */
export function withOwnToken(environment: Environment): Environment {
  const named = [TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY].some((key) => environment[key]);
  if (named || environment[INSECURE_KEY] === '1') return environment;
  return { ...environment, [TOKEN_KEY]: ownTokenFile(environment) };
}

/**
 * Path of the user's token file, `$XDG_STATE_HOME/ballast/node-token` (`~/.local/state/…`; in the temporary folder if
 * there is no home), created if it does not exist. @throws UserError when others could read or replace it.
 */
export function ownTokenFile(environment: Environment = process.env): string {
  const folder = ownFolder(environment);
  const path = join(folder, FILE);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) makeToken(folder, path);
  const stats = lstatSync(path);
  checkOwner(path, stats);
  if (!stats.isFile())
    throw new UserError(`${path}: it is not a file; delete it, and the next start creates one.`);
  if ((stats.mode & 0o077) !== 0) {
    throw new UserError(
      `${path}: others can read this token (mode ${modeOf(stats)}); delete it, and the next start creates another.`,
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

/** Written atomically, and never over an existing file: of two processes, one creates it. */
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
