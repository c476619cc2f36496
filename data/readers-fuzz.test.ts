// Files that were good and then damaged, anywhere: a reader reads them, or refuses them in one line; nothing else.
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { float32 } from '../tensor/array.ts';
import { foldIn, keyFromSeed, uniform } from '../tensor/random.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import {
  idxBytes,
  load,
  npyBytes,
  temporaryFolder,
  write,
  zipBytes,
  type TemporaryFolder,
} from './fixtures.ts';
import { readIdx } from './idx.ts';
import { readNpz } from './npz.ts';
import { readTable } from './table.ts';

const ROUNDS = 200;
const KEY = keyFromSeed(20_240_611);

let folder: TemporaryFolder;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

/** `good` with up to six bytes changed, and perhaps cut off or doubled. */
function damaged(good: Uint8Array, name: string, round: number): Buffer {
  const draw = [...uniform(foldIn(KEY, name, round), 16)];
  const whole = Buffer.from(good);
  for (let i = 0; i < 1 + draw[0]! * 6; i++) {
    const at = Math.floor(draw[1 + i]! * whole.length);
    whole[at] = draw[8 + i]! < 0.3 ? 0xff : Math.floor(draw[8 + i]! * 256);
  }
  if (draw[15]! < 0.2) return whole.subarray(0, Math.floor(draw[14]! * whole.length));
  return draw[15]! > 0.9 ? Buffer.concat([whole, whole]) : whole;
}

const npy = (count: number) =>
  npyBytes(
    '|u1',
    [count, 2, 2],
    Uint8Array.from({ length: count * 4 }, (_, i) => i),
  );
const member = (name: string, content: Uint8Array) => ({
  name,
  packed: deflateRawSync(content),
  bytes: content.length,
});
const NPZ = zipBytes([
  member('train_images.npy', npy(3)),
  member('train_labels.npy', npyBytes('|u1', [3], Uint8Array.of(0, 1, 0))),
]);
const IDX = idxBytes([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
const CSV = Buffer.from('path,label,"a ""note"""\na.png,cat,"x,y"\nb.png,dog,\n');
const OBJECTS = Buffer.from(
  '{"path":"a.png","label":"cat","box":[1,2]}\n{"path":"b.png","label":null,"n":1.5}\n',
);
const MODEL = encodeSafetensors({ a: float32([2, 2], [1, 2, 3, 4]), b: float32([1], [5]) }, { note: 'x' });

async function expectSound(
  name: string,
  good: Uint8Array,
  read: (file: string) => Promise<unknown>,
): Promise<void> {
  let refused = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const file = join(folder.path, `${round}-${name}`);
    write(file, damaged(good, name, round));
    const thrown: unknown = await read(file).then(
      () => null,
      (error: unknown) => error,
    );
    if (thrown === null) continue;
    refused++;
    expect(thrown, `round ${round}`).toBeInstanceOf(UserError);
    expect((thrown as Error).message, `round ${round}`).toContain(file);
  }
  expect(refused).toBeGreaterThan(0);
}

it.each([
  ['npz', NPZ, readNpz],
  ['idx', IDX, (file: string) => readIdx(file, 3)],
  ['idx.gz', gzipSync(IDX), (file: string) => readIdx(file, 3)],
  ['csv', CSV, readTable],
  ['rows.jsonl', OBJECTS, readTable],
] as const)('%s', async (name, good, read) => {
  await expectSound(name, good, read);
});

it('safetensors', () => {
  for (let round = 0; round < 5 * ROUNDS; round++) {
    try {
      decodeSafetensors(damaged(MODEL, 'safetensors', round), 'm.safetensors');
    } catch (thrown) {
      expect(thrown, `round ${round}`).toBeInstanceOf(UserError);
    }
  }
});

it.each(['png', 'jpeg', 'webp', 'gif', 'tiff'] as const)('%s', async (format) => {
  const pixels = Buffer.from(Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => (i * 37) % 256));
  const raw = { width: 12, height: 12, channels: 3 } as const;
  const good = await sharp(pixels, { raw }).toFormat(format).toBuffer();
  const dir = join(folder.path, format);
  for (const name of ['a/1.png', 'b/1.png']) write(join(dir, name), good);
  for (let round = 0; round < 40; round++)
    write(join(dir, `a/bad-${round}.png`), damaged(good, format, round));
  const validation = { from: 'none' } as const;
  const { train } = await load({ source: dir, imageSize: 8, onBadImage: 'skip', validation });
  expect(train.labels.length).toBeGreaterThanOrEqual(2);
  expect(train.images).toHaveLength(train.labels.length * 8 * 8 * 3);
});
