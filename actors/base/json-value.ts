/**
 * JSON values that travel with an actor: its arguments and its kept state. Values that JSON would silently lose or
 * change are refused, and so are values that exceed the limit of any transport (a message to another node, an entry of
 * the registry): the same on every path, on both sides.
 */

import { toError, UserError } from '../../common/errors.ts';
import { plainText } from '../../common/plain-text.ts';

/**
 * @throws UserError, prefixed with `what`, naming the place of a value that JSON cannot represent, or the size and its
 * limit.
 */
export function encodeJson(value: unknown, what: string, maxBytes: number): string {
  checkPart(value ?? null, what, '', new Set());
  const json = JSON.stringify(value ?? null);
  checkJsonSize(json, what, maxBytes);
  return json;
}

/** @throws UserError naming the size and its limit. */
export function checkJsonSize(json: string, what: string, maxBytes: number): void {
  const sizeBytes = Buffer.byteLength(json);
  if (sizeBytes <= maxBytes) return;
  throw new UserError(
    `${what}: ${sizeBytes} bytes as JSON; at most ${maxBytes} are kept: put the rest as an object and keep its reference.`,
  );
}

/** A JSON object. Members that JSON cannot represent become null or are left out. @throws UserError */
export function encodeObject(value: object, what: string, maxBytes: number): string {
  const json = stringify(value, what);
  if (json?.startsWith('{') !== true) throw new UserError(`${what}: use a JSON object.`);
  checkJsonSize(json, what, maxBytes);
  return json;
}

function stringify(value: object, what: string): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (thrown) {
    const [reason] = toError(thrown).message.split('\n');
    throw new UserError(`${what}: use a JSON object (${plainText(reason!)}).`, { cause: thrown });
  }
}

/** Maximum nesting depth; JSON.stringify itself handles a few thousand. */
const MAX_DEPTH = 200;

function checkPart(part: unknown, what: string, path: string, around: Set<object>): void {
  const refuse = (problem: string) => {
    const where = path === '' ? 'it' : plainText(path.slice(0, 200));
    throw new UserError(`${what}: ${where} ${problem}.`);
  };
  switch (typeof part) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      return Number.isFinite(part) ? undefined : refuse(`is ${part}, which JSON cannot represent`);
    case 'object':
      break;
    default:
      return refuse(`is a ${typeof part}, which JSON cannot represent`);
  }
  if (part === null) return;
  if (around.has(part)) return refuse('holds itself');
  if (around.size >= MAX_DEPTH) return refuse(`is nested more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(part)) {
    around.add(part);
    part.forEach((item, index) => checkPart(item, what, `${path}[${index}]`, around));
  } else if (isPlain(part)) {
    around.add(part);
    for (const [key, item] of Object.entries(part)) {
      if (item !== undefined) checkPart(item, what, path === '' ? key : `${path}.${key}`, around);
    }
  } else if (!hasText(part)) {
    refuse(`is a ${nameOf(part)}, which JSON cannot represent`);
  }
  around.delete(part);
}

function isPlain(part: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(part);
  return prototype === Object.prototype || prototype === null;
}

/** Whether the value defines its own JSON form (a Date, a URL); bytes do so at four times their size. */
function hasText(part: object): boolean {
  return !ArrayBuffer.isView(part) && 'toJSON' in part && typeof part.toJSON === 'function';
}

function nameOf(part: object): string {
  const { constructor } = part as { readonly constructor?: { readonly name?: unknown } };
  return typeof constructor?.name === 'string' ? plainText(constructor.name.slice(0, 40)) : 'value';
}
