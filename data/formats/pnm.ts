/**
 * PBM, PGM and PPM (Netpbm's P1 to P6): text or bytes, of one or two bytes a value. Their own largest value says what
 * white is, so nothing is guessed. Refused: values beyond it, and what is cut off.
 */
import type { Raster } from './raster.ts';

/** @throws Error that says what is wrong, without the file's name. */
export function decodePnm(file: Buffer, maxPixels: number): Raster {
  const kind = Number(String.fromCharCode(file[1] ?? 0));
  const reader = new Tokens(file, 2);
  const width = reader.number();
  const height = reader.number();
  const isBitmap = kind === 1 || kind === 4;
  const white = isBitmap ? 1 : reader.number();
  if (width * height > maxPixels) throw new Error(`PNM of ${width} x ${height} exceeds pixel limit`);
  if (width * height === 0 || white < 1 || white > 65_535) throw new Error('PNM has a damaged header');
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const read = kind <= 3 ? textValues(reader, isBitmap) : byteValues(file, reader.at + 1, { count, width, white, isBitmap }); // prettier-ignore
  const data = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const value = read(i);
    if (value > white) throw new Error(`PNM holds ${value}, above its largest value ${white}`);
    data[i] = Math.round(((isBitmap ? 1 - value : value) * 255) / white);
  }
  return { width, height, channels, data };
}

class Tokens {
  readonly #file: Buffer;
  at: number;

  constructor(file: Buffer, at: number) {
    this.#file = file;
    this.at = at;
  }

  /** The next number; comments run from # to the end of the line. */
  number(): number {
    this.#skip();
    let value = 0;
    let digits = 0;
    for (; this.#digit() !== null; this.at++, digits++) value = value * 10 + this.#digit()!;
    if (digits === 0 || digits > 9) throw new Error('PNM is cut off, or holds something other than a number');
    return value;
  }

  /** The next single digit, for P1. */
  digit(): number {
    this.#skip();
    const digit = this.#digit();
    if (digit === null) throw new Error('PNM is cut off');
    this.at++;
    return digit;
  }

  #digit(): number | null {
    const byte = this.#file[this.at];
    return byte !== undefined && byte >= 48 && byte <= 57 ? byte - 48 : null;
  }

  #skip(): void {
    for (; this.at < this.#file.length; this.at++) {
      const byte = this.#file[this.at]!;
      if (byte === 35) while (this.at < this.#file.length && this.#file[this.at] !== 10) this.at++;
      else if (byte > 32) return;
    }
  }
}

function textValues(reader: Tokens, isBitmap: boolean): (i: number) => number {
  return () => (isBitmap ? reader.digit() : reader.number());
}

function byteValues(
  file: Buffer,
  start: number,
  { count, width, white, isBitmap }: { count: number; width: number; white: number; isBitmap: boolean },
): (i: number) => number {
  const rowBytes = Math.ceil(width / 8);
  const needed = isBitmap ? rowBytes * (count / width) : count * (white > 255 ? 2 : 1);
  if (start + needed > file.length) throw new Error('PNM is cut off');
  if (isBitmap)
    return (i) => {
      const x = i % width;
      return (file[start + Math.floor(i / width) * rowBytes + (x >> 3)]! >> (7 - (x & 7))) & 1;
    };
  return (i) => (white > 255 ? file.readUInt16BE(start + 2 * i) : file[start + i]!);
}
