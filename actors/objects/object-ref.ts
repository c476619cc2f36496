/** References to objects, their file names, their digests, and their errors. */

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../common/errors.ts';
import { CallError, type StatusName } from '../base/call-errors.ts';
import { shown } from '../base/checks.ts';

export interface ObjectRef {
  /** Unique id; its first part names the node where it was put. */
  readonly id: string;
  readonly sizeBytes: number;
  /** SHA-256 of the bytes, lower-case hex; empty unless `put` was asked for it. */
  readonly digest: string;
  /** host:port of the nodes that hold it, first the one where it was put; empty if its bytes are `inline`. */
  readonly holders: string[];
  /** The bytes of a small object, which is in no store. */
  readonly inline?: Uint8Array;
}

/** An object that cannot be stored, found or trusted: RESOURCE_EXHAUSTED, NOT_FOUND, UNAVAILABLE, DATA_LOSS. */
export class ObjectError extends CallError {
  override readonly name = 'ObjectError';
  readonly objectId: string;

  constructor(code: StatusName, objectId: string, message: string, options?: ErrorOptions) {
    super(code, `Object ${objectId}: ${message}`, options);
    this.objectId = objectId;
  }
}

/** The bytes inside a reference; undefined if they are in a store. */
export function inlineBytes({ holders, inline, sizeBytes }: ObjectRef): Uint8Array | undefined {
  return holders.length === 0 && inline?.byteLength === sizeBytes ? inline : undefined;
}

/** The error of an object whose bytes differ from those that its reference describes. */
export function wrongDigest(id: string, actual: string, expected: string): ObjectError {
  const said = (digest: string) => (digest === '' ? 'none' : digest);
  const message = `its bytes have SHA-256 ${said(actual)}, its reference says ${said(expected)}`;
  return new ObjectError('DATA_LOSS', id, message);
}

const OBJECT_ID = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/;
const DIGEST = /^[0-9a-f]{64}$/;
const MAX_ID_LENGTH = 160;
/** Stands in a file name for a digest that was not computed. */
const NO_DIGEST = 'undigested';

/**
 * A unique file name for id and digest, which may be empty. @throws ObjectError INVALID_ARGUMENT when one of them is
 * malformed.
 */
export function fileNameOf({ id, digest }: Pick<ObjectRef, 'id' | 'digest'>): string {
  if (!OBJECT_ID.test(id) || id.length > MAX_ID_LENGTH) {
    throw new ObjectError(
      'INVALID_ARGUMENT',
      JSON.stringify(id.slice(0, MAX_ID_LENGTH)),
      'the id is malformed',
    );
  }
  if (digest !== '' && !DIGEST.test(digest))
    throw new ObjectError('INVALID_ARGUMENT', id, 'its digest is not a SHA-256 in hex');
  return `${id.replaceAll('/', '.')}.${digest || NO_DIGEST}`;
}

export function isDigest(text: unknown): boolean {
  return typeof text === 'string' && DIGEST.test(text);
}

/** @throws UserError if the value is not a reference; it may come from anywhere. */
export function checkRef(ref: unknown): void {
  const { id, sizeBytes, digest, holders, inline } = (ref ?? {}) as Partial<Record<keyof ObjectRef, unknown>>;
  const isRef =
    typeof id === 'string' &&
    typeof digest === 'string' &&
    Number.isSafeInteger(sizeBytes) &&
    (sizeBytes as number) >= 0 &&
    Array.isArray(holders) &&
    holders.every((holder) => typeof holder === 'string');
  if (!isRef)
    throw new UserError(`${shown(ref)} is not a reference to an object: use what \`put\` returned.`);
  fileNameOf({ id, digest });
  if (inline !== undefined && !(inline instanceof Uint8Array)) {
    const advice = "to keep a reference as text, put its value with `owner: 'node'`";
    throw new UserError(`Object ${id}: the bytes inside its reference did not survive JSON; ${advice}.`);
  }
}

/** @throws UserError */
export function checkRefs(refs: unknown): void {
  if (!Array.isArray(refs)) throw new UserError(`${shown(refs)} is not a list of references.`);
  for (const ref of refs) checkRef(ref);
}

/** About three milliseconds of hashing. */
const SLICE_BYTES = 4 * 1024 * 1024;

/** Bytes, or parts to be concatenated. */
export type Bytes = Uint8Array | readonly Uint8Array[];

export function partsOf(bytes: Bytes): readonly Uint8Array[] {
  return bytes instanceof Uint8Array ? [bytes] : bytes;
}

/** SHA-256 in hex; yields to the event loop in between. Bytes must not change meanwhile. */
export async function digestOf(bytes: Bytes): Promise<string> {
  const hash = createHash('sha256');
  for (const part of partsOf(bytes)) {
    for (let start = 0; start < part.byteLength; start += SLICE_BYTES) {
      if (start > 0) await setImmediate();
      hash.update(part.subarray(start, start + SLICE_BYTES));
    }
  }
  return hash.digest('hex');
}
