/**
 * Safetensors files (github.com/huggingface/safetensors): eight bytes of header length, a JSON header with each array's
 * type, shape and offsets, then the bytes. Arrays are written in name order, so equal contents give equal files. A file
 * must match its header, without gaps or overlaps. Half-precision numbers of other programs' files are read as float32,
 * 64-bit counts as int32.
 */
import { UserError } from '../common/errors.ts';
import { sizeOf } from './array.ts';
import type { ArrayMap, DType, NdArray, TypedArray } from './array.ts';

const FORMAT_NAME = { float32: 'F32', int32: 'I32', uint8: 'U8', bool: 'BOOL' } as const;
const ELEMENT_SIZE = { F32: 4, I32: 4, U8: 1, BOOL: 1, F16: 2, BF16: 2, I64: 8 } as const;
/** Types that are converted to one of ours. */
const WIDENED = { F16: fromHalf, BF16: fromBfloat, I64: fromInt64 } as const;
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

interface Entry {
  readonly dtype: keyof typeof ELEMENT_SIZE;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The file's bytes; `metadata` holds free-text entries of the header. */
export function encodeSafetensors(
  arrays: ArrayMap,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  const names = Object.keys(arrays).sort();
  let offset = 0;
  for (const name of names) {
    const { dtype, shape, data } = arrays[name]!;
    header[name] = { dtype: FORMAT_NAME[dtype], shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const headerSize = Math.ceil(json.length / 8) * 8; // padded with spaces, so that the arrays are aligned
  const file = new Uint8Array(8 + headerSize + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerSize), true);
  file.fill(0x20, 8, 8 + headerSize);
  file.set(json, 8);
  let at = 8 + headerSize;
  for (const name of names) {
    const { data } = arrays[name]!;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** Reads a file; `source` names it in errors. Throws UserError for a file that is damaged or of other types. */
export function decodeSafetensors(
  file: Uint8Array,
  source = 'safetensors data',
): { arrays: Record<string, NdArray>; metadata: Record<string, string> } {
  const { header, start } = readHeader(file, source);
  const { __metadata__: metadata = {}, ...others } = header;
  const entries = Object.entries(others).map(
    ([name, value]) => [name, toEntry(name, value, source)] as const,
  );
  checkPlaces(
    entries.map(([, { data_offsets: offsets }]) => offsets),
    file.length - start,
    source,
  );
  const arrays = Object.fromEntries(
    entries.map(([name, entry]) => [name, readEntry(file, start, name, entry, source)]),
  );
  return { arrays, metadata: metadata as Record<string, string> };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** An array's entry in the header, if it is well-formed. */
function toEntry(name: string, value: unknown, source: string): Entry {
  const entry = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  const { shape, data_offsets: offsets } = entry;
  const isEntry =
    Array.isArray(shape) &&
    shape.every(isCount) &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every(isCount);
  if (isEntry) return entry as Entry;
  throw new UserError(`${source}: the header describes no array under '${name.slice(0, 100)}'`);
}

/** The arrays must fill the file, one after another; otherwise a small file could claim much memory. */
function checkPlaces(places: readonly (readonly [number, number])[], bytes: number, source: string): void {
  let end = 0;
  for (const [from, to] of [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end || to < from)
      throw new UserError(`${source}: its arrays overlap, or have gaps between them; it is damaged`);
    end = to;
  }
  if (end !== bytes)
    throw new UserError(
      `${source}: holds ${bytes} bytes of arrays where its header places ${end}; the file is cut short or damaged`,
    );
}

function readHeader(file: Uint8Array, source: string): { header: Record<string, unknown>; start: number } {
  const damaged = (why: string) => new UserError(`${source}: not a safetensors file (${why})`);
  if (file.length < 8) throw damaged(`${file.length} bytes`);
  const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (size > MAX_HEADER_BYTES || 8 + size > file.length) throw damaged(`its header claims ${size} bytes`);
  try {
    const header: unknown = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size)));
    if (isGroup(header) && isGroup(header['__metadata__'] ?? {})) return { header, start: 8 + size };
  } catch (cause) {
    throw new UserError(`${source}: not a safetensors file (its header is not JSON)`, { cause });
  }
  throw damaged('its header is not a JSON object');
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readEntry(file: Uint8Array, start: number, name: string, entry: Entry, source: string): NdArray {
  const { dtype: format, shape } = entry;
  if (!Object.hasOwn(ELEMENT_SIZE, format))
    throw new UserError(
      `${source}: array '${name}' has type ${format}; only ${Object.keys(ELEMENT_SIZE).join(', ')} are supported`,
    );
  const [from, to] = entry.data_offsets;
  if (to - from !== sizeOf(shape) * ELEMENT_SIZE[format])
    throw new UserError(`${source}: array '${name}' is damaged or the file is cut short`);
  // A copy, so that it is aligned and the file's memory can be freed (a Buffer's slice would be a view).
  const bytes = Uint8Array.from(file.subarray(start + from, start + to));
  if (isWidened(format)) return { shape, ...WIDENED[format](bytes) };
  const dtype = (Object.keys(FORMAT_NAME) as DType[]).find((key) => FORMAT_NAME[key] === format)!;
  return { dtype, shape, data: typed(dtype, bytes) };
}

function isWidened(format: Entry['dtype']): format is keyof typeof WIDENED {
  return Object.hasOwn(WIDENED, format);
}

type Elements = Pick<NdArray, 'dtype' | 'data'>;

/** IEEE 754 binary16: sign, five bits of exponent, ten of fraction. */
function fromHalf(bytes: Uint8Array): Elements {
  const data = Float32Array.from(new Uint16Array(bytes.buffer), (bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
  });
  return { dtype: 'float32', data };
}

/** The upper half of a float32. */
function fromBfloat(bytes: Uint8Array): Elements {
  const bits = Uint32Array.from(new Uint16Array(bytes.buffer), (upper) => upper << 16);
  return { dtype: 'float32', data: new Float32Array(bits.buffer) };
}

/** Integers beyond 32 bits become the nearest int32. */
function fromInt64(bytes: Uint8Array): Elements {
  const bound = (value: bigint) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Number(value)));
  return { dtype: 'int32', data: Int32Array.from(new BigInt64Array(bytes.buffer), bound) };
}

function typed(dtype: DType, bytes: Uint8Array): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(bytes.buffer);
    case 'int32':
      return new Int32Array(bytes.buffer);
    case 'uint8':
    case 'bool':
      return bytes;
    default:
      return dtype satisfies never;
  }
}
