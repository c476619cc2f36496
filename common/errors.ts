/**
 * Errors that people see. A `UserError` is somebody's mistake, not ours: it prints as one line (what was wrong,
 * where, what to do) and never as a stack trace.
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
