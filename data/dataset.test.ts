import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataConfigSchema } from '../config/data-config.ts';
import { load, npyBytes, temporaryFolder, write, writeImage, type TemporaryFolder } from './fixtures.ts';
import { keyFromSeed, randomBits } from '../tensor/random.ts';
import { countClasses } from './source.ts';
import { bytesOf } from './images.ts';

let folder: TemporaryFolder;
let root: string;
beforeEach(() => {
  folder = temporaryFolder();
  root = folder.path;
});
afterEach(() => folder.remove());

async function refusal(config: Parameters<typeof load>[0]): Promise<string> {
  const error: unknown = await load(config).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  expect((error as Error).message).not.toContain('\n');
  return (error as Error).message.replaceAll(root, 'ROOT');
}

const NONE = { from: 'none' } as const;

/** Two classes in an NPZ file: `count` images of 2 × 2 pixels each holding its own number. */
function putNpz(count: number, channels = 1): string {
  const size = 4 * channels;
  const images = Uint8Array.from({ length: count * size }, (_, i) => Math.floor(i / size));
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const shape = channels === 1 ? [count, 2, 2] : [count, 2, 2, channels];
  const file = join(root, 'set.npz');
  const arrays = {
    train_images: npyBytes('|u1', shape, images),
    train_labels: npyBytes('|u1', [count, 1], labels),
  };
  write(file, zipSync({ 'train_images.npy': arrays.train_images, 'train_labels.npy': arrays.train_labels }));
  return file;
}

describe('bad images', () => {
  async function putCorrupt(): Promise<string> {
    for (const name of ['cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg', 'dog/2.jpg', 'dog/3.jpg'])
      await writeImage(join(root, name), { size: 64 });
    const noise = Buffer.from(randomBits(keyFromSeed(1), 64 * 16).buffer);
    const picture = await sharp(noise, { raw: { width: 64, height: 64, channels: 1 } })
      .jpeg()
      .toBuffer();
    write(join(root, 'cat/2.jpg'), picture.subarray(0, picture.length * 0.6)); // its last rows are lost
    write(join(root, 'dog/2.jpg'), 'not a picture');
    return root;
  }

  it('are refused: the first is named', async () => {
    const message = await refusal({ source: await putCorrupt(), imageSize: 8, validation: NONE });
    expect(message).toMatch(/^ROOT\/cat\/2\.jpg: cannot be decoded \(.+\); replace it, or skip such images/);
  });

  it('are skipped and recorded', async () => {
    const data = await load({
      source: await putCorrupt(),
      imageSize: 8,
      validation: NONE,
      onBadImage: 'skip',
    });
    expect(data.train.ids).toEqual(['cat/1.jpg', 'dog/1.jpg', 'dog/3.jpg']);
    expect([...data.train.labels]).toEqual([0, 1, 1]);
    expect(data.train.images).toHaveLength(3 * 8 * 8 * 3);
    expect(data.skipped.map(({ file }) => file)).toEqual(
      ['cat/2.jpg', 'dog/2.jpg'].map((name) => join(root, name)),
    );
    expect(data.skipped[1]!.reason).toContain('unsupported image format');
  });

  it('that empty a class are refused even so', async () => {
    const source = await putCorrupt();
    write(join(root, 'cat/1.jpg'), '');
    expect(await refusal({ source, imageSize: 8, validation: NONE, onBadImage: 'skip' })).toContain(
      "class 'cat' has no train image",
    );
  });

  it('include formats that cannot be decoded', async () => {
    await putCorrupt();
    write(join(root, 'cat/3.bmp'), 'BM');
    const data = await load({ source: root, imageSize: 8, validation: NONE, onBadImage: 'skip' });
    expect(data.skipped.map(({ file }) => file)).toContain(join(root, 'cat/3.bmp'));
  });

  it('include decompression bombs', async () => {
    await putCorrupt();
    const small = readFileSync(join(root, 'cat/1.jpg'));
    const frame = small.indexOf(Buffer.from([0xff, 0xc0])); // SOF0: length, precision, height, width
    small.writeUInt16BE(60_000, frame + 5);
    small.writeUInt16BE(60_000, frame + 7);
    write(join(root, 'cat/0.jpg'), small);
    expect(await refusal({ source: root, imageSize: 8, validation: NONE })).toMatch(
      /^ROOT\/cat\/0\.jpg: cannot be decoded \(.*pixel limit/,
    );
  });
});

describe('decoding', () => {
  it('covers the square and crops to its centre', async () => {
    // 8 × 4 pixels: white in the middle four columns, black at both sides.
    const pixels = Uint8Array.from({ length: 32 }, (_, i) => (i % 8 >= 2 && i % 8 < 6 ? 255 : 0));
    const image = await sharp(pixels, { raw: { width: 8, height: 4, channels: 1 } })
      .png()
      .toBuffer();
    write(join(root, 'a/1.png'), image);
    await writeImage(join(root, 'b/1.png'), { value: 7 });
    const data = await load({ source: root, imageSize: 4, channels: 1, validation: NONE });
    expect([...data.train.images.subarray(0, 16)]).toEqual(new Array(16).fill(255));
  });

  it('takes grey from the data, and colour when one class has it', async () => {
    await writeImage(join(root, 'a/1.png'), { grey: true, value: 7 });
    await writeImage(join(root, 'b/1.png'), { grey: true, value: 9 });
    const grey = await load({ source: root, validation: NONE });
    expect([grey.channels, bytesOf(grey.train.images)[0], bytesOf(grey.train.images)[64]]).toEqual([1, 7, 9]);
    await writeImage(join(root, 'c/1.png'), { value: 11 });
    const colour = await load({ source: root, validation: NONE });
    expect(colour.channels).toBe(3);
    expect([...colour.train.images.subarray(0, 3)]).toEqual([7, 7, 7]);
  });

  it('lays transparency on black and brings 16 bits to 8', async () => {
    const clear = Uint8Array.of(200, 100, 50, 0, 200, 100, 50, 255);
    const image = sharp(clear, { raw: { width: 2, height: 1, channels: 4 } }).png();
    write(join(root, 'a/1.png'), await image.toBuffer());
    const deep = sharp(Uint16Array.of(0x8000, 0xffff), { raw: { width: 2, height: 1, channels: 1 } });
    write(join(root, 'b/1.png'), await deep.toColourspace('grey16').png().toBuffer());
    const data = await load({ source: root, channels: 3, validation: NONE });
    expect([...data.train.images.subarray(0, 6)]).toEqual([0, 0, 0, 200, 100, 50]);
    expect([...bytesOf(data.train.images).subarray(6)]).toEqual([128, 128, 128, 255, 255, 255]);
  });

  it('resizes and recolours arrays too', async () => {
    const grey = await load({ source: putNpz(4), imageSize: 4, channels: 3, validation: NONE });
    expect([grey.height, grey.width, grey.channels]).toEqual([4, 4, 3]);
    expect([0, 1, 2, 3].map((i) => bytesOf(grey.train.images)[i * 48 + 17])).toEqual([0, 1, 2, 3]);
    const colour = await load({ source: putNpz(4, 3), channels: 1, validation: NONE });
    expect([...bytesOf(colour.train.images)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
  });

  it('asks for a size when images differ', async () => {
    await writeImage(join(root, 'a/1.png'), { size: 8 });
    await writeImage(join(root, 'b/1.png'), { size: 9 });
    expect(await refusal({ source: root, validation: NONE })).toBe(
      'ROOT/b/1.png: is 9 x 9 where others are 8 x 8; set data.imageSize (--image-size) to bring all to one size',
    );
  });

  it('refuses a set that would not fit in memory', async () => {
    expect(await refusal({ source: putNpz(1000), imageSize: 1024, channels: 3, validation: NONE })).toContain(
      'data.imageSize: 1000 images of 1024 x 1024 x 3 need 3000 MiB, above the limit of 2048; set a smaller data.imageSize',
    );
  });
});

describe('splits', () => {
  it('takes validation out of train, seeded', async () => {
    const source = putNpz(40);
    const data = await load({ source, validation: { from: 'train', fraction: 0.2 } });
    expect(countClasses(data.validation!.labels, 2)).toEqual([4, 4]);
    expect(new Set([...data.train.ids, ...data.validation!.ids]).size).toBe(40);
    const again = await load({ source, validation: { from: 'train', fraction: 0.2 } });
    expect(again.validation!.ids).toEqual(data.validation!.ids);
    const other = await load({ source, validation: { from: 'train', fraction: 0.2, seed: 1 } });
    expect(other.validation!.ids).not.toEqual(data.validation!.ids);
  });

  it('keeps pixels, labels and ids together', async () => {
    const source = putNpz(40);
    const { train, validation } = await load({
      source,
      longTail: { ratio: 4, largest: 12 },
      validation: { from: 'unused', limit: 6 },
    });
    expect(countClasses(train.labels, 2)).toEqual([12, 3]);
    for (const set of [train, validation!])
      set.ids.forEach((id, i) => {
        const number = Number(id.slice('train/'.length));
        expect([...set.images.subarray(4 * i, 4 * i + 4)]).toEqual([number, number, number, number]);
        expect(set.labels[i]).toBe(number % 2);
      });
  });

  it('needs unused images of every class', async () => {
    const config = { source: putNpz(40), validation: { from: 'unused', limit: 6 } } as const;
    // largest null: the first class gives all its images to train.
    expect(await refusal({ ...config, longTail: { ratio: 4 } })).toContain(
      "no validation image of class '0'",
    );
  });

  it('leaves out unused images whose group is in train', async () => {
    const lines = ['image,label,patient'];
    for (let i = 0; i < 12; i++) {
      await writeImage(join(root, `${i}.png`), { size: 4 });
      lines.push(`${i},${i % 2 ? 'x' : 'y'},${i < 8 ? 'p' : `q${i}`}`);
    }
    write(join(root, 'list.csv'), lines.join('\n'));
    const data = await load({
      source: join(root, 'list.csv'),
      longTail: { ratio: 1, largest: 3, seed: 1 },
      validation: { from: 'unused', limit: 12 },
    });
    expect(data.train.groups).toContain('p');
    expect(data.validation!.groups).not.toContain('p');
    expect(data.warnings).toEqual([]);
  });

  it('is named by a digest of train', async () => {
    const first = await load({ source: putNpz(40) });
    expect(first.digest).toMatch(/^[0-9a-f]{64}$/);
    expect((await load({ source: putNpz(40) })).digest).toBe(first.digest);
    expect((await load({ source: putNpz(42) })).digest).not.toBe(first.digest);
  });
});

describe('dataConfigSchema', () => {
  it('fills every default in', () => {
    expect(dataConfigSchema.parse({ source: 'pets' })).toEqual({
      source: 'pets',
      format: 'auto',
      imageSize: null,
      channels: null,
      resize: 'crop',
      csv: {
        ...{ images: null, idColumn: null, labelColumn: null, groupColumn: null, splitColumn: null },
        missingLabels: 'fail',
      },
      testFraction: null,
      test: null,
      validation: { from: 'train', fraction: 0.1, seed: 0 },
      longTail: null,
      ...{ development: null, archive: null, fresh: null, evaluation: 'test', tailBelow: 200 },
      onBadImage: 'fail',
      roots: [],
    });
  });

  it.each([
    [{ sorce: 'x' }, 'sorce'],
    [{ csv: { idcolumn: 'x' } }, 'idcolumn'],
    [{ validation: { from: 'train', fraction: 0.6 } }, 'fraction'],
    [{ validation: { from: 'unused' } }, 'longTail'],
    [{ longTail: { ratio: 0.5 } }, 'ratio'],
    [{ longTail: { ratio: 2, seed: -1 } }, 'seed'],
    [{ channels: 2 }, 'channels'],
  ])('refuses %j', (config, mention) => {
    const result = dataConfigSchema.safeParse(config);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error!.issues)).toContain(mention);
  });
});

const HAM10000 = process.env.BALLAST_HAM10000;

describe.skipIf(HAM10000 === undefined)(
  `HAM10000${HAM10000 === undefined ? ' (skipped: BALLAST_HAM10000 does not name its ImageFolder)' : ''}`,
  () => {
    it('loads whole, grouped by lesion', { timeout: 120_000 }, async () => {
      const source = HAM10000!;
      const data = await load({ source, imageSize: 32, validation: { from: 'train', fraction: 0.15 } });
      expect(data.classes).toEqual(['akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc']);
      expect(data.train.labels.length + data.validation!.labels.length).toBe(8010);
      expect(data.test!.labels).toHaveLength(2003);
      const lesions = new Set(data.train.groups);
      expect(data.validation!.groups!.filter((group) => lesions.has(group))).toEqual([]);
      expect(data.warnings).toEqual([]);
      expect(readdirSync(source)).toContain('manifest.csv');
      expect(readFileSync(join(source, 'manifest.csv'), 'utf8')).toContain(data.test!.ids[0]);
    });
  },
);
