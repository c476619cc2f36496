/** Checks whether other users of this machine could have read or changed files with secrets, and folders. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { errorCode, toError, UserError } from './errors.ts';

/** Permission bits of all users except the owner and the group. */
const OTHERS = 0o007;
const MAX_SECRET_BYTES = 2 ** 20;

/**
 * The bytes of a file that only its owner (this user or root) and its group can read. @throws UserError that names the
 * file and the remedy.
 */
export function readPrivateFile(path: string, maxBytes = MAX_SECRET_BYTES): Buffer {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // opening a pipe would wait for its writer
    try {
      checkPrivate(path, fstatSync(file), maxBytes); // stats of the open file: nobody can exchange it now
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw new UserError(`${path}: cannot be read (${errorCode(thrown) ?? toError(thrown).message})`, {
      cause: thrown,
    });
  }
}

function checkPrivate(path: string, found: Stats, maxBytes: number): void {
  if (!found.isFile()) throw new UserError(`${path}: it is not a file`);
  if ((found.mode & OTHERS) !== 0) {
    const shown = (found.mode & 0o777).toString(8).padStart(4, '0');
    throw new UserError(
      `${path}: everybody on this machine can read or change it (mode ${shown}); set it to 0640 or less`,
    );
  }
  if (!isTrusted(found.uid))
    throw new UserError(
      `${path}: it belongs to another user (uid ${found.uid}), who can change it; chown it`,
    );
  if (found.size > maxBytes) throw new UserError(`${path}: it is larger than ${maxBytes} bytes`);
}

/** Whether files of a user can be trusted: this user, or root; all users on systems without users. */
function isTrusted(uid: number): boolean {
  const own = process.geteuid?.();
  return own === undefined || uid === own || uid === 0;
}

/** @throws UserError for a folder that belongs to another user, who could exchange its files. */
export function refuseForeignFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || isTrusted(found.uid)) return;
  throw new UserError(
    `${path} belongs to another user (uid ${found.uid}); chown it, run as its owner, or choose another folder`,
  );
}
