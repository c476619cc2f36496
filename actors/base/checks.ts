/**
 * Checks of the arguments of public functions, whatever type they were given: one clear line for each invalid value.
 */

import { UserError } from '../../common/errors.ts';
import { clippedText } from '../../common/plain-text.ts';

/** Formats a value on one short line. */
export function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'function' ? 'a function' : clippedText(String(value), 80);
}

/** @throws UserError unless the value is a whole number, `least` or more. */
export function checkWhole(what: string, value: unknown, least: number): void {
  if (Number.isInteger(value) && (value as number) >= least) return;
  throw new UserError(`${what} = ${shown(value)}: it must be whole, ${least} or more.`);
}

/** @throws UserError unless the value is a port number; 0 stands for any free port. */
export function checkPort(what: string, value: unknown): void {
  checkWhole(what, value, 0);
  if ((value as number) > 65_535)
    throw new UserError(`${what} = ${shown(value)}: the largest port is 65535.`);
}

/** Like `checkWhole`, but Infinity stands for no limit. */
export function checkLimit(what: string, value: unknown, least: number): void {
  if (value !== Infinity) checkWhole(what, value, least);
}

/** @throws UserError unless the value is a number of milliseconds, 0 or more; Infinity stands for no limit. */
export function checkMilliseconds(what: string, value: unknown): void {
  if (typeof value === 'number' && value >= 0) return;
  throw new UserError(`${what} = ${shown(value)}: it must be milliseconds, 0 or more.`);
}
