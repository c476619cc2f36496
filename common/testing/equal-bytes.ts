/**
 * Set-up of every test file: `toEqual` compares typed arrays as memory first. By itself vitest compares them one element after
 * the other, which takes half a minute for a model of 3 MB.
 */
import { expect } from 'vitest';

function hasSameBytes(a: unknown, b: unknown): true | undefined {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b)) return undefined;
  if (a.constructor !== b.constructor || a.byteLength !== b.byteLength) return undefined;
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0 ? true : undefined; // otherwise vitest finds the difference
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

expect.addEqualityTesters([hasSameBytes]);
