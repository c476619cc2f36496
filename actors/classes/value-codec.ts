/**
 * Values of class actors as bytes: everything that structured clone supports, encoded by V8's codec (`node:v8`), which
 * Node keeps compatible between versions, and references to values. Small plain values, as most arguments are, use
 * JSON, which is faster. Bytes from a wire are hostile: they decode to values or to an error, never to code.
 *
 * A value for an object store is encoded in parts, `P…`: its large arrays are not copied but follow the rest, each at a
 * multiple of 64 bytes, so that they can be written from where they are and used in place once mapped.
 */

import { DefaultDeserializer, DefaultSerializer } from 'node:v8';
import { toError, UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { checkRef, type ObjectRef } from '../objects/object-ref.ts';
import { receivedRef, ValueRef } from './value-ref.ts';

/** First byte: the encoding of the rest. */
const JSON_TAG = 0x4a;
const CLONE_TAG = 0x56;
const PARTS_TAG = 0x50;
/** Header of a value in parts: its tag, three zero bytes, the length of the part before the arrays. */
const PARTS_HEAD_BYTES = 8;
const ALIGNMENT = 64;
/** Smaller arrays are copied into the first part. */
const MIN_PART_BYTES = 64 * 1024;
/** Maximum number of elements of a plain value; larger values are not inspected. */
const MAX_PLAIN_VALUES = 32;

/** Codes of what a view of bytes holds: plain views first, then arrays that follow as parts, then references. */
const VIEWS = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, DataView, Buffer, BigInt64Array, BigUint64Array],
] as const;
const PART = 100;
const REFERENCE = 200;

/** How references in a value are sent. */
export interface Sending {
  /** Called for each reference; the returned release keeps the object held until the receiver holds it. */
  onRef(ref: ValueRef): string;
}

/** @throws UserError, prefixed with `what`, for a value that structured clone cannot copy (a function, a promise …). */
export function encodeValue(value: unknown, what: string, sending?: Sending): Buffer {
  if (isPlain(value)) return Buffer.from(`J${JSON.stringify(value)}`);
  return Buffer.concat([Buffer.of(CLONE_TAG), cloned(value, what, null, sending)]);
}

/**
 * The same for an object store: parts to be concatenated. Arrays in them still belong to the value. @throws as
 * `encodeValue`
 */
export function encodeParts(value: unknown, what: string, sending?: Sending): Uint8Array[] {
  if (isPlain(value)) return [Buffer.from(`J${JSON.stringify(value)}`)];
  const arrays: Uint8Array[] = [];
  const rest = cloned(value, what, arrays, sending);
  if (arrays.length === 0) return [Buffer.of(CLONE_TAG), rest];
  const head = Buffer.alloc(PARTS_HEAD_BYTES);
  head[0] = PARTS_TAG;
  head.writeUInt32LE(rest.byteLength, 4);
  const parts: Uint8Array[] = [head, rest, padding(PARTS_HEAD_BYTES + rest.byteLength)];
  for (const array of arrays) parts.push(array, padding(array.byteLength));
  return parts;
}

/**
 * @param isOwn whether nobody else has the bytes, so that arrays may be views of them.
 * @throws CallError INVALID_ARGUMENT for bytes that `encodeValue` or `encodeParts` did not produce.
 */
export function decodeValue(bytes: Uint8Array, isOwn = false): unknown {
  try {
    if (bytes[0] === JSON_TAG) return JSON.parse(textOf(bytes.subarray(1))) as unknown;
    // Copied to separate memory: typed arrays are views of it, and must not expose the rest of the frame.
    const own = isOwn ? bytes : Uint8Array.from(bytes);
    if (bytes[0] === CLONE_TAG) return decodeClone(own.subarray(1), own.subarray(own.byteLength));
    if (bytes[0] === PARTS_TAG) {
      const restBytes = Buffer.from(own.buffer, own.byteOffset, PARTS_HEAD_BYTES).readUInt32LE(4);
      const restEnd = PARTS_HEAD_BYTES + restBytes;
      return decodeClone(own.subarray(PARTS_HEAD_BYTES, restEnd), own.subarray(aligned(restEnd)));
    }
  } catch (cause) {
    throw new CallError('INVALID_ARGUMENT', 'the bytes are not an encoded value', { cause });
  }
  throw new CallError('INVALID_ARGUMENT', 'the bytes are not an encoded value');
}

function cloned(
  value: unknown,
  what: string,
  arrays: Uint8Array[] | null,
  sending: Sending | undefined,
): Buffer {
  try {
    const writer = new ValueWriter(arrays, sending);
    writer.writeHeader();
    writer.writeValue(value);
    return writer.releaseBuffer();
  } catch (thrown) {
    const advice =
      'send data: numbers, strings, arrays, objects, Map, Set, Date, bigint, typed arrays, errors';
    throw new UserError(`${what} cannot be sent: ${toError(thrown).message} (${advice})`, { cause: thrown });
  }
}

function decodeClone(rest: Uint8Array, arrays: Uint8Array): unknown {
  const reader = new ValueReader(rest, arrays);
  reader.readHeader();
  return reader.readValue();
}

/** V8 calls this for each view of bytes that it writes. */
class ValueWriter extends DefaultSerializer {
  readonly #arrays: Uint8Array[] | null;
  readonly #sending: Sending | undefined;
  #arrayBytes = 0;

  constructor(arrays: Uint8Array[] | null, sending: Sending | undefined) {
    super();
    this.#arrays = arrays;
    this.#sending = sending;
  }

  _writeHostObject(view: NodeJS.ArrayBufferView): void {
    if (view instanceof ValueRef) return this.#writeRef(view);
    const { buffer, byteOffset, byteLength } = view;
    const kind = kindOf(view);
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const isPart = this.#arrays !== null && byteLength >= MIN_PART_BYTES;
    this.writeUint32(kind + (isPart ? PART : 0));
    this.writeDouble(byteLength);
    if (!isPart) return this.writeRawBytes(bytes);
    this.writeDouble(this.#arrayBytes);
    this.#arrays.push(bytes);
    this.#arrayBytes += aligned(byteLength);
  }

  #writeRef(ref: ValueRef): void {
    const { id, sizeBytes, digest, holders, inline = new Uint8Array(0) } = ref;
    const transit = holders.length === 0 ? '' : (this.#sending?.onRef(ref) ?? '');
    const facts = Buffer.from(JSON.stringify({ id, sizeBytes, digest, holders, transit }));
    this.writeUint32(REFERENCE);
    this.writeUint32(facts.byteLength);
    this.writeRawBytes(facts);
    this.writeUint32(inline.byteLength);
    this.writeRawBytes(inline);
  }
}

class ValueReader extends DefaultDeserializer {
  readonly #arrays: Uint8Array;

  constructor(rest: Uint8Array, arrays: Uint8Array) {
    super(rest);
    this.#arrays = arrays;
  }

  _readHostObject(): object {
    const kind = this.readUint32();
    if (kind === REFERENCE) return this.#readRef();
    const byteLength = this.readDouble();
    if (kind < PART) return viewOf(kind, ownIfSmall(this.readRawBytes(byteLength)));
    const offset = this.readDouble();
    const isThere = offset >= 0 && byteLength >= 0 && offset + byteLength <= this.#arrays.byteLength;
    if (!isThere) throw new RangeError('an array lies outside the value');
    return viewOf(kind - PART, this.#arrays.subarray(offset, offset + byteLength));
  }

  #readRef(): ValueRef {
    const { transit, ...facts } = JSON.parse(textOf(this.readRawBytes(this.readUint32()))) as ObjectRef & {
      transit: unknown;
    };
    const inline = Uint8Array.from(this.readRawBytes(this.readUint32()));
    checkRef(facts);
    return receivedRef({ ...facts, inline }, typeof transit === 'string' ? transit : '');
  }
}

/** A small array gets a buffer of its own, as it had where it was sent; a large one is a view of the whole value. */
function ownIfSmall(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength < MIN_PART_BYTES ? new Uint8Array(bytes) : bytes;
}

/**
 * Views of a program's own classes are sent as the built-in class that they extend. @throws Error for any other host
 * object.
 */
function kindOf(view: object): number {
  const name =
    view.constructor === Buffer
      ? 'Buffer'
      : Object.prototype.toString.call(view).slice('[object '.length, -1);
  const kind = VIEWS.findIndex((type) => type.name === name);
  if (kind < 0) throw new Error(`${name} could not be cloned.`);
  return kind;
}

function viewOf(kind: number, bytes: Uint8Array): object {
  const type = VIEWS[kind];
  if (type === undefined) throw new RangeError('unknown kind of view');
  const { byteLength } = bytes;
  const elementBytes = 'BYTES_PER_ELEMENT' in type ? type.BYTES_PER_ELEMENT : 1;
  if (byteLength % elementBytes !== 0) throw new RangeError('an array ends within an element');
  const placed = bytes.byteOffset % elementBytes === 0 ? bytes : Uint8Array.from(bytes);
  const { buffer, byteOffset } = placed;
  if (type === Buffer) return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  return new (type as typeof Uint8Array)(buffer, byteOffset, byteLength / elementBytes);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** The padding that follows this many bytes. */
function padding(bytes: number): Uint8Array {
  return new Uint8Array(aligned(bytes) - bytes);
}
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/**
 * Whether JSON restores exactly the same value: few strings, finite numbers, booleans, nulls, in arrays and objects.
 */
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
