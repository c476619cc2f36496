/**
 * NPY, NumPy's array file (format versions 1 to 3, numpy.lib.format): magic, header length, a Python dict with dtype,
 * order and shape, then the values. Read here: booleans and little-endian integers in C order. Refused: everything
 * else, by name.
 */
import { UserError } from '../common/errors.ts';
import { MAX_NPY_HEADER_BYTES } from './limits.ts';

export interface Npy {
  /** NumPy's dtype string, for example '|u1'. */
  readonly descr: string;
  readonly shape: readonly number[];
  /** The values as they lie in the file. */
  readonly bytes: Uint8Array;
}

/** As many as NumPy had until version 2. */
const MAX_RANK = 32;

type ReadValue = (view: DataView, offset: number) => number;

const READERS: Readonly<Record<string, ReadValue>> = {
  '|b1': (view, offset) => view.getUint8(offset),
  '|u1': (view, offset) => view.getUint8(offset),
  '|i1': (view, offset) => view.getInt8(offset),
  '<u2': (view, offset) => view.getUint16(offset, true),
  '<i2': (view, offset) => view.getInt16(offset, true),
  '<u4': (view, offset) => view.getUint32(offset, true),
  '<i4': (view, offset) => view.getInt32(offset, true),
  '<u8': (view, offset) => Number(view.getBigUint64(offset, true)),
  '<i8': (view, offset) => Number(view.getBigInt64(offset, true)),
};

/** Parses one NPY file. `where` names it in messages. Throws UserError for damaged or unsupported files. */
export function parseNpy(file: Uint8Array, where: string): Npy {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isNpy = file.length >= 12 && file[0] === 0x93 && latin1(file, 1, 6) === 'NUMPY';
  if (!isNpy) throw new UserError(`${where}: not an NPY array (wrong magic)`);
  const wide = file[6]! >= 2;
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end - start > MAX_NPY_HEADER_BYTES)
    throw new UserError(
      `${where}: its NPY header claims ${end - start} bytes, above the limit of ${MAX_NPY_HEADER_BYTES}`,
    );
  const header = latin1(file, start, end);
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const extents = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (end > file.length || descr === undefined || order === undefined || extents === undefined)
    throw new UserError(`${where}: its NPY header is damaged or describes no plain array`);
  if (!(descr in READERS))
    throw new UserError(
      `${where}: has dtype ${descr}; little-endian integers are needed: save it with .astype('uint8') (images) or .astype('int64') (labels)`,
    );
  const shape = (extents.match(/\d+/g) ?? []).map(Number);
  if (shape.length > MAX_RANK)
    throw new UserError(`${where}: has ${shape.length} axes; at most ${MAX_RANK} are read`);
  if (order === 'True' && shape.length > 1)
    throw new UserError(`${where}: is in Fortran order; save it with np.ascontiguousarray(…)`);
  const size = shape.reduce((product, extent) => product * extent, 1) * Number(descr.slice(2));
  if (file.length - end !== size)
    throw new UserError(
      `${where}: holds ${file.length - end} bytes of values where shape (${shape.join(', ')}) of ${descr} needs ${size}; truncated?`,
    );
  return { descr, shape, bytes: file.subarray(end) };
}

/** The values as plain numbers. */
export function npyValues({ descr, bytes }: Npy): number[] {
  const read = READERS[descr]!;
  const width = Number(descr.slice(2));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / width }, (_, i) => read(view, i * width));
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', start, end);
}
