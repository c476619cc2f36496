/** JSON files: a damaged one gives a one-line error with the file and a remedy. */
import { UserError } from './errors.ts';

/** The value in a file's text. @throws UserError naming the file; `remedy` ends the message. */
export function parseJson(text: string, path: string, remedy: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path} is damaged: it is not JSON; ${remedy}`, { cause });
  }
}

/** The same for an object or a list. @throws UserError also for anything else. */
export function parseJsonObject(text: string, path: string, remedy: string): Record<string, unknown> {
  const value = parseJson(text, path, remedy);
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new UserError(`${path} is damaged: it holds ${JSON.stringify(value).slice(0, 40)}; ${remedy}`);
}
