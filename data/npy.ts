/**
 * NPY, NumPy's array file (format versions 1 to 3, numpy.lib.format): magic, header length, a Python dict with dtype,
 * order and shape, then the values. Supported: booleans, integers and floats of either byte order, fixed-length
 * strings, in C or Fortran order. Everything else is refused by name, with a remedy.
 */
import { UserError } from '../common/errors.ts';
import { MAX_NPY_HEADER_BYTES } from './limits.ts';

export interface Npy {
  /** NumPy's dtype string, for example '|u1'. */
  readonly descr: string;
  readonly shape: readonly number[];
  /** The values in C order, bytes as in the file. */
  readonly bytes: Uint8Array;
}

/** As many as NumPy had until version 2. */
const MAX_RANK = 32;
/** Maximum characters of a text; longer ones are not labels. */
const MAX_TEXT = 4096;

type ReadValue = (view: DataView, offset: number, little: boolean) => number;

const READERS: Readonly<Record<string, ReadValue>> = {
  b1: (view, offset) => view.getUint8(offset),
  u1: (view, offset) => view.getUint8(offset),
  i1: (view, offset) => view.getInt8(offset),
  u2: (view, offset, little) => view.getUint16(offset, little),
  i2: (view, offset, little) => view.getInt16(offset, little),
  u4: (view, offset, little) => view.getUint32(offset, little),
  i4: (view, offset, little) => view.getInt32(offset, little),
  u8: (view, offset, little) => Number(view.getBigUint64(offset, little)),
  i8: (view, offset, little) => Number(view.getBigInt64(offset, little)),
  f2: (view, offset, little) => halfFloat(view.getUint16(offset, little)),
  f4: (view, offset, little) => view.getFloat32(offset, little),
  f8: (view, offset, little) => view.getFloat64(offset, little),
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
  const width = itemBytes(descr, where);
  const shape = (extents.match(/\d+/g) ?? []).map(Number);
  if (shape.length > MAX_RANK)
    throw new UserError(`${where}: has ${shape.length} axes; at most ${MAX_RANK} are read`);
  const size = shape.reduce((product, extent) => product * extent, 1) * width;
  if (file.length - end !== size)
    throw new UserError(
      `${where}: holds ${file.length - end} bytes of values where shape (${shape.join(', ')}) of ${descr} needs ${size}; truncated?`,
    );
  const bytes = file.subarray(end);
  const isFortran = order === 'True' && shape.filter((extent) => extent > 1).length > 1;
  return { descr, shape, bytes: isFortran ? toCOrder(bytes, shape, width) : bytes };
}

function itemBytes(descr: string, where: string): number {
  if (descr.slice(1) in READERS && /^[|<>=]/.test(descr)) return Number(descr.slice(2));
  const text = /^([<>|])([US])(\d+)$/.exec(descr);
  if (text && Number(text[3]) > 0 && Number(text[3]) <= MAX_TEXT)
    return Number(text[3]) * (text[2] === 'U' ? 4 : 1);
  const remedy = descr.includes('O')
    ? "Python objects are not read: save labels with .astype('int64') or .astype(str), images as one array of equal shapes (np.stack)"
    : 'save images with dtype uint8 and labels with dtype int64 or str';
  throw new UserError(`${where}: has dtype ${descr}, which is not read; ${remedy}`);
}

/** Whether the values are texts. */
export function isText({ descr }: Npy): boolean {
  return /^.[US]/.test(descr);
}

export function isFloat({ descr }: Npy): boolean {
  return descr[1] === 'f';
}

/** The values as plain numbers. */
export function npyValues({ descr, bytes }: Npy): number[] {
  const read = READERS[descr.slice(1)]!;
  const width = Number(descr.slice(2));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / width }, (_, i) => read(view, i * width, descr[0] !== '>'));
}

/** The values as numbers, in little memory. */
export function npyFloats({ descr, bytes }: Npy): Float32Array {
  const read = READERS[descr.slice(1)]!;
  const width = Number(descr.slice(2));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / width }, (_, i) =>
    read(view, i * width, descr[0] !== '>'),
  );
}

/** Without the zeros at its end. */
function beforeZeros(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}

/** The values of an array of texts, in NFC, without the zeros that fill them up. */
export function npyTexts({ descr, bytes }: Npy): string[] {
  const width = Number(descr.slice(2)) * (descr[1] === 'U' ? 4 : 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / width }, (_, i) => {
    if (descr[1] === 'S') return beforeZeros(latin1(bytes, i * width, (i + 1) * width));
    const points = Array.from({ length: width / 4 }, (_unused, k) =>
      view.getUint32(i * width + 4 * k, descr[0] !== '>'),
    );
    return points
      .filter((point) => point > 0 && point <= 0x10ffff)
      .map((point) => String.fromCodePoint(point))
      .join('')
      .normalize('NFC');
  });
}

/** Values of which the first index runs fastest, as values of which the last does. */
function toCOrder(bytes: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const strides = shape.map((_, axis) =>
    shape.slice(0, axis).reduce((product, extent) => product * extent, width),
  );
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to += width) {
    for (let k = 0; k < width; k++) out[to + k] = bytes[from + k]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** IEEE 754 binary16. */
function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', start, end);
}
