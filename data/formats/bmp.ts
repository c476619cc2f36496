/**
 * BMP (Windows bitmaps, Microsoft's BITMAPINFOHEADER; also OS/2's): 1, 4, 8, 16, 24 and 32 bits a pixel, without
 * packing, with colour tables and masks. Refused: packed ones (RLE, JPEG, PNG inside), and what is cut off.
 */
import type { Raster } from './raster.ts';

const CORE_HEADER = 12;
const PLAIN = 0;
const MASKS = 3;

/** @throws Error that says what is wrong, without the file's name. */
export function decodeBmp(file: Buffer, maxPixels: number): Raster {
  if (file.length < 26) throw new Error('BMP is cut off');
  const start = file.readUInt32LE(10);
  const headerBytes = file.readUInt32LE(14);
  const isCore = headerBytes === CORE_HEADER;
  if (file.length < 14 + headerBytes || start > file.length) throw new Error('BMP is cut off');
  const width = isCore ? file.readUInt16LE(18) : file.readInt32LE(18);
  const rows = isCore ? file.readInt16LE(20) : file.readInt32LE(22);
  const height = Math.abs(rows);
  const bits = file.readUInt16LE(isCore ? 24 : 28);
  const packing = isCore ? PLAIN : file.readUInt32LE(30);
  if (width <= 0 || height === 0 || width * height > maxPixels)
    throw new Error(`BMP of ${width} x ${height} exceeds pixel limit`);
  if (packing !== PLAIN && packing !== MASKS)
    throw new Error(`BMP is packed by method ${packing}, which is not read`);
  if (![1, 4, 8, 16, 24, 32].includes(bits))
    throw new Error(`BMP has ${bits} bits a pixel, which is not read`);
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (start + rowBytes * height > file.length) throw new Error('BMP is cut off');
  const colourOf =
    bits <= 8 ? tableOf(file, 14 + headerBytes, start, isCore ? 3 : 4, bits) : directOf(file, bits, packing);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = start + rowBytes * (rows < 0 ? y : height - 1 - y);
    for (let x = 0; x < width; x++) {
      const [r, g, b] = colourOf(row, x);
      const to = 3 * (y * width + x);
      data[to] = r;
      data[to + 1] = g;
      data[to + 2] = b;
    }
  }
  return isGrey(data)
    ? { width, height, channels: 1, data: everyThird(data) }
    : { width, height, channels: 3, data };
}

type Colour = readonly [number, number, number];

function tableOf(
  file: Buffer,
  from: number,
  to: number,
  entryBytes: number,
  bits: number,
): (row: number, x: number) => Colour {
  const count = Math.min(2 ** bits, Math.floor((to - from) / entryBytes));
  const table = Array.from({ length: count }, (_, i): Colour => {
    const at = from + i * entryBytes;
    return [file[at + 2]!, file[at + 1]!, file[at]!];
  });
  return (row, x) => {
    const byte = file[row + Math.floor((x * bits) / 8)]!;
    const shift = 8 - bits - ((x * bits) % 8);
    const colour = table[(byte >> shift) & (2 ** bits - 1)];
    if (!colour) throw new Error('BMP names a colour that its table lacks');
    return colour;
  };
}

function directOf(file: Buffer, bits: number, packing: number): (row: number, x: number) => Colour {
  if (bits === 24) return (row, x) => [file[row + 3 * x + 2]!, file[row + 3 * x + 1]!, file[row + 3 * x]!];
  const usual = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const masks = packing === MASKS ? [54, 58, 62].map((at) => file.readUInt32LE(at)) : usual;
  const read = (row: number, x: number) =>
    bits === 16 ? file.readUInt16LE(row + 2 * x) : file.readUInt32LE(row + 4 * x);
  const part = (pixel: number, mask: number) => {
    if (mask === 0) return 0;
    const lowest = mask & -mask;
    return Math.round(((((pixel & mask) >>> 0) / (lowest >>> 0)) * 255) / ((mask >>> 0) / (lowest >>> 0)));
  };
  return (row, x) => {
    const pixel = read(row, x);
    return [part(pixel, masks[0]!), part(pixel, masks[1]!), part(pixel, masks[2]!)];
  };
}

function isGrey(data: Uint8Array): boolean {
  for (let i = 0; i < data.length; i += 3)
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}

function everyThird(data: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: data.length / 3 }, (_, i) => data[3 * i]!);
}
