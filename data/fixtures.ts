/** Small data sets written into a temporary folder, for tests only. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { dataConfigSchema, type DataConfigInput } from '../config/data-config.ts';
import { loadDataset, type Dataset } from './dataset.ts';

export interface TemporaryFolder {
  readonly path: string;
  remove(): void;
}

export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'ballast-data-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Loads with every default filled in. */
export function load(config: DataConfigInput): Promise<Dataset> {
  return loadDataset(dataConfigSchema.parse(config));
}

/** Writes a file, making its folders. */
export function write(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

/** Writes a one-colour image; the extension decides the format. `grey` writes one channel. */
export async function writeImage(
  file: string,
  { size = 8, value = 128, grey = false }: { size?: number; value?: number; grey?: boolean } = {},
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const channels = grey ? 1 : 3;
  const pixels = new Uint8Array(size * size * channels).fill(value);
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
