/** Small data sets written into a temporary folder, for tests only. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { dataConfigSchema, type DataConfigInput } from '../config/data-config.ts';
import { loadDataset, type LoadedDataset } from './dataset.ts';

export interface TemporaryFolder {
  readonly path: string;
  /** A fresh folder in it, with an image at each path. */
  readonly put: (...paths: readonly string[]) => Promise<string>;
  remove(): void;
}

export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'ballast-data-'));
  const put = async (...paths: readonly string[]) => {
    const root = mkdtempSync(join(path, 'case-'));
    for (const image of paths) await writeImage(join(root, image));
    return root;
  };
  return { path, put, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Paths of images `1` to `n` in each of `folders`. */
export function imagePaths(n: number, ...folders: readonly string[]): string[] {
  return folders.flatMap((name) => Array.from({ length: n }, (_, i) => `${name}/${i + 1}.png`));
}

/** Loads with every default filled in. */
export function load(config: DataConfigInput): Promise<LoadedDataset> {
  return loadDataset(dataConfigSchema.parse(config));
}

/** Writes a file, making its folders. */
export function write(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

/** Writes an image of one colour (without a value: of two, another pair for each file); the extension decides the format. */
export async function writeImage(
  file: string,
  { size = 8, value, grey = false }: { size?: number; value?: number; grey?: boolean } = {},
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const channels = grey ? 1 : 3;
  const pixels = new Uint8Array(size * size * channels);
  const [upper, lower] = createHash('sha256').update(file).digest();
  pixels.fill(value ?? upper!, 0, pixels.length / 2).fill(value ?? lower!, pixels.length / 2);
  await sharp(pixels, { raw: { width: size, height: size, channels } })
    .toColourspace(grey ? 'b-w' : 'srgb')
    .toFile(file);
}

/** Bytes of an IDX file of unsigned bytes. */
export function idxBytes(shape: readonly number[], values: ArrayLike<number>): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint32(0, 0x0800 + shape.length);
  shape.forEach((extent, axis) => header.setUint32(4 + 4 * axis, extent));
  return Buffer.concat([new Uint8Array(header.buffer), Uint8Array.from(values)]);
}

/** Bytes of an NPY file, version 1. */
export function npyBytes(
  descr: string,
  shape: readonly number[],
  data: Uint8Array,
  fortran = false,
): Uint8Array {
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dict = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${extents}), }`;
  const header = `${dict.padEnd(117)}\n`;
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), data]);
}

export interface TiffKind {
  /** Of one sample. */
  readonly bits: number;
  /** SampleFormat: 1 unsigned, 2 signed, 3 float. */
  readonly format: 1 | 2 | 3;
  readonly samples: number;
  /** ExtraSamples: one value a sample beyond grey or colour. */
  readonly extra?: readonly number[];
}

/** Bytes of a TIFF file of one strip, in the byte order of this machine's arrays (little-endian). */
export function tiffBytes(
  width: number,
  height: number,
  { bits, format, samples, extra = [] }: TiffKind,
  values: ArrayBufferView,
): Buffer {
  const each = (value: number) => Array<number>(samples).fill(value);
  const pixels = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const photometric = samples - extra.length >= 3 ? 2 : 1;
  const tags: readonly (readonly [number, readonly number[]])[] = [
    ...([[256, [width]], [257, [height]], [258, each(bits)], [259, [1]], [262, [photometric]], [273, [0]]] as const), // prettier-ignore
    ...([
      [277, [samples]],
      [278, [height]],
      [279, [pixels.length]],
    ] as const),
    ...(extra.length > 0 ? [[338, extra] as const] : []),
    [339, each(format)],
  ];
  const directory = Buffer.alloc(8 + 2 + 12 * tags.length + 4);
  directory.write('II*\0\x08', 'latin1');
  directory.writeUInt16LE(tags.length, 8);
  const lists = tags.map(([, list]) => Buffer.from(Uint16Array.from(list).buffer));
  const far = lists.filter(({ length }) => length > 4);
  const end = directory.length + far.reduce((sum, { length }) => sum + length, 0);
  let next = directory.length;
  tags.forEach(([tag, list], i) => {
    const at = 10 + 12 * i;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(tag === 273 ? 4 : 3, at + 2);
    directory.writeUInt32LE(list.length, at + 4);
    if (tag === 273) directory.writeUInt32LE(end, at + 8);
    else if (lists[i]!.length <= 4) lists[i]!.copy(directory, at + 8);
    else {
      directory.writeUInt32LE(next, at + 8);
      next += lists[i]!.length;
    }
  });
  return Buffer.concat([directory, ...far, pixels]);
}

export interface ZipMember {
  readonly name: string;
  readonly packed: Uint8Array;
  /** Its size according to the directory; may be a lie. */
  readonly bytes: number;
  /** 8, deflated, by default. */
  readonly method?: number;
  readonly flags?: number;
}

/** Bytes of a ZIP archive with given header fields. */
export function zipBytes(members: readonly ZipMember[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, packed, bytes, method = 8, flags = 0 } of members) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(flags, 2);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(bytes, 18);
    fields.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\0', 'latin1'), fields, tail, Buffer.from(name));
    const local = [Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name)];
    parts.push(...local, Buffer.from(packed));
    at += 30 + name.length + packed.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** A black one-bit PNG, which packs a thousand pixels into a bit or so. */
export function pngBytes(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = Buffer.alloc(height * (1 + Math.ceil(width / 8)));
  const chunks = [
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(rows)),
    pngChunk('IEND', Buffer.alloc(0)),
  ];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(content));
  return Buffer.concat([head, content, tail]);
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
