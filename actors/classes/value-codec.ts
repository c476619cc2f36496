/**
 * Values of class actors as bytes: whatever structured clone knows, by V8's own codec (`node:v8`), which Node keeps
 * compatible between versions. Small plain values, as most arguments are, are JSON, which is faster. Bytes from a wire
 * are hostile: they make values, never code, and at worst an error.
 */

import { deserialize, serialize } from 'node:v8';
import { toError, UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';

/** First byte: how the rest is encoded. */
const JSON_TAG = 0x4a;
const CLONE_TAG = 0x56;
/** Values in one plain value; larger ones are not looked through. */
const MAX_PLAIN_VALUES = 32;

/** @throws UserError, beginning with `what`, for a value that structured clone cannot copy (a function, a promise …). */
export function encodeValue(value: unknown, what: string): Buffer {
  if (isPlain(value)) return Buffer.from(`J${JSON.stringify(value)}`);
  try {
    return Buffer.concat([Buffer.of(CLONE_TAG), serialize(value)]);
  } catch (thrown) {
    const advice =
      'send data: numbers, strings, arrays, objects, Map, Set, Date, bigint, typed arrays, errors';
    throw new UserError(`${what} cannot be sent: ${toError(thrown).message} (${advice})`, { cause: thrown });
  }
}

/** @throws CallError INVALID_ARGUMENT for bytes that `encodeValue` did not make. */
export function decodeValue(bytes: Uint8Array): unknown {
  try {
    if (bytes[0] === JSON_TAG) return JSON.parse(textOf(bytes.subarray(1))) as unknown;
    // In memory of its own: typed arrays are views of it, and must not show what else came in the same frame.
    if (bytes[0] === CLONE_TAG) return deserialize(Uint8Array.from(bytes.subarray(1)));
  } catch (cause) {
    throw new CallError('INVALID_ARGUMENT', 'the bytes are no encoded value', { cause });
  }
  throw new CallError('INVALID_ARGUMENT', 'the bytes are no encoded value');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Whether JSON gives back the very same value: few strings, finite numbers, booleans, nulls, in arrays and objects. */
function isPlain(value: unknown): boolean {
  let left = MAX_PLAIN_VALUES;
  const look = (part: unknown): boolean => {
    if (--left < 0) return false;
    switch (typeof part) {
      case 'string':
      case 'boolean':
        return true;
      case 'number':
        return Number.isFinite(part) && !Object.is(part, -0);
      case 'object':
        return part === null || (Array.isArray(part) ? lookArray(part) : lookObject(part));
      default:
        return false;
    }
  };
  const lookArray = (array: readonly unknown[]): boolean => {
    const keys = Object.keys(array); // holes and named properties need the other codec
    return keys.length === array.length && array.length <= MAX_PLAIN_VALUES && array.every(look);
  };
  const lookObject = (object: object): boolean =>
    Object.getPrototypeOf(object) === Object.prototype && Object.values(object).every(look);
  return look(value);
}
