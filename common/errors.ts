/**
 * Errors for people. A `UserError` is a user's mistake, not a defect: it prints as one line (the problem, its place,
 * the remedy) and never as a stack trace.
 */

export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Any thrown value as an `Error`, so that callers can rely on `message` and `cause`. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The `code` of a Node system error ('ENOENT', 'ENOSPC', …), or undefined. */
export function errorCode(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return undefined;
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'may not be read or written by this user; ask its owner, or change its permissions (chmod)',
  EPERM: 'may not be changed by this user; ask its owner, or change its permissions (chmod)',
  ENOENT: 'no such file or folder; check the path',
  ENOTDIR: 'a part of this path is a file where a folder is needed; check the path',
  EISDIR: 'is a folder where a file is needed; check the path',
  EROFS: 'is on a read-only file system; choose another place',
  ELOOP: 'its links form a cycle; remove them',
  ENAMETOOLONG: 'the path is too long for this file system; choose a shorter one',
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine; close some programs',
  EIO: 'the device cannot read or write it; check the disk or the network share',
  ESTALE: 'the network share has changed; mount it again',
  ETIMEDOUT: 'the network share does not answer; check the connection',
  EBUSY: 'is in use by another program; close it',
};

/** Converts a file system error into a user's error that names the path; other errors are unchanged. */
export function readableError(thrown: unknown, path?: string): Error {
  const error = toError(thrown);
  const code = errorCode(error);
  const meaning = code === undefined ? undefined : SYSTEM_ERRORS[code];
  const where = path ?? ('path' in error && typeof error.path === 'string' ? error.path : undefined);
  if (error instanceof UserError || meaning === undefined || where === undefined) return error;
  return new UserError(`${where}: ${meaning} (${code})`, { cause: thrown });
}
