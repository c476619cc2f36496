/** Values as text, where the runtime keeps JSON: arguments of `spawn`, and kept state. */

import { decodeValue, encodeValue, type Sending } from './value-codec.ts';

/** @throws UserError like `encodeValue`. */
export function encodeText(value: unknown, what: string, sending?: Sending): string {
  return encodeValue(value, what, sending).toString('base64');
}

/** Undefined if the argument is not such a text. */
export function decodeText(text: unknown): unknown {
  return typeof text === 'string' ? decodeValue(Buffer.from(text, 'base64')) : undefined;
}
