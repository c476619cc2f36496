/**
 * Safetensors files (github.com/huggingface/safetensors): eight bytes of header length, a JSON header with each array's
 * type, shape and place, then the bytes. Arrays are written in name order, so equal contents give equal files.
 */
import { UserError } from '../common/errors.ts';
import { sizeOf } from './array.ts';
import type { ArrayMap, DType, NdArray, TypedArray } from './array.ts';

const FORMAT_NAME = { float32: 'F32', int32: 'I32', uint8: 'U8', bool: 'BOOL' } as const;
const ELEMENT_SIZE = { F32: 4, I32: 4, U8: 1, BOOL: 1 } as const;
const HEADER_LIMIT = 100 * 1024 * 1024;

interface Entry {
  readonly dtype: keyof typeof ELEMENT_SIZE;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The file's bytes; `metadata` are free text entries of the header. */
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
  const { __metadata__: metadata = {}, ...entries } = header;
  const arrays: Record<string, NdArray> = {};
  for (const [name, entry] of Object.entries(entries) as [string, Entry][])
    arrays[name] = readEntry(file, start, name, entry, source);
  return { arrays, metadata: metadata as Record<string, string> };
}

function readHeader(file: Uint8Array, source: string): { header: Record<string, unknown>; start: number } {
  const damaged = (why: string) => new UserError(`${source}: not a safetensors file (${why})`);
  if (file.length < 8) throw damaged(`${file.length} bytes`);
  const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (size > HEADER_LIMIT || 8 + size > file.length) throw damaged(`its header claims ${size} bytes`);
  try {
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size))) as Record<
      string,
      unknown
    >;
    return { header, start: 8 + size };
  } catch (cause) {
    throw new UserError(`${source}: not a safetensors file (its header is not JSON)`, { cause });
  }
}

function readEntry(file: Uint8Array, start: number, name: string, entry: Entry, source: string): NdArray {
  const dtype = (Object.keys(FORMAT_NAME) as DType[]).find((key) => FORMAT_NAME[key] === entry.dtype);
  if (dtype === undefined)
    throw new UserError(
      `${source}: array '${name}' has type ${entry.dtype}; only F32, I32, U8 and BOOL are read`,
    );
  const [from, to] = entry.data_offsets;
  const expected = sizeOf(entry.shape) * ELEMENT_SIZE[entry.dtype];
  if (to - from !== expected || from < 0 || start + to > file.length)
    throw new UserError(`${source}: array '${name}' is damaged or the file is cut short`);
  // A copy, so that it is aligned and the file may be dropped (a Buffer's slice would be a view).
  const bytes = Uint8Array.from(file.subarray(start + from, start + to));
  return { dtype, shape: entry.shape, data: typed(dtype, bytes) };
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
