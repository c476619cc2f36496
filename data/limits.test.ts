// Hostile input: each file is refused in one line that names file and limit, in little memory.
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createDeflateRaw, createGzip, deflateRawSync, type Gzip, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import {
  idxBytes,
  load,
  npyBytes,
  pngBytes,
  temporaryFolder,
  write,
  writeImage,
  zipBytes,
  type TemporaryFolder,
  type ZipMember,
} from './fixtures.ts';
import { IDX_FILES, readIdxFolder } from './idx.ts';
import { listImages } from './image-files.ts';
import { readNpz } from './npz.ts';
import { readTable } from './table.ts';

const MIB = 2 ** 20;
/** Unpacked size of a bomb in these tests. */
const BOMB_BYTES = 256 * MIB;
/** Well below that. */
const ALLOWED_BYTES = 64 * MIB;

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

/** The refusal of `read`, which may not take much memory or processor time meanwhile. */
async function refusal(read: () => Promise<unknown>): Promise<string> {
  const before = process.resourceUsage().maxRSS * 1024;
  const start = process.cpuUsage();
  const error: unknown = await read().then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  expect(process.resourceUsage().maxRSS * 1024 - before).toBeLessThan(ALLOWED_BYTES);
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1e6).toBeLessThan(5); // seconds
  const { message } = error as UserError;
  expect(message).not.toContain('\n');
  expect(message.length).toBeLessThan(1000);
  return message.replaceAll(folder.path, 'DIR');
}

const LABELS = member('train_labels.npy', npyBytes('|u1', [2], Uint8Array.of(0, 1)));
const IMAGES = member('train_images.npy', npyBytes('|u1', [2, 1, 1], Uint8Array.of(0, 1)));

function member(name: string, content: Uint8Array): ZipMember {
  return { name, packed: deflateRawSync(content), bytes: content.length };
}

/** Packs `start` and then zeros, a mebibyte at a time: the test itself must not take the memory that it looks for. */
async function packZeros(packer: Gzip, start = Buffer.alloc(0)): Promise<Buffer> {
  const packed = packer.toArray();
  packer.write(start);
  for (let done = 0; done < BOMB_BYTES; done += MIB) {
    await new Promise((resolve) => packer.write(Buffer.alloc(MIB), resolve));
  }
  packer.end();
  return Buffer.concat((await packed) as Buffer[]);
}

function npz(...members: readonly ZipMember[]): () => Promise<unknown> {
  const file = join(folder.path, 'x.npz');
  write(file, zipBytes(members));
  return () => readNpz(file);
}

describe('NPZ', () => {
  it('written by the test is read as it is', async () => {
    await expect(npz(IMAGES, LABELS)()).resolves.toMatchObject({ classes: ['0', '1'] });
    const stored = npyBytes('|u1', [2], Uint8Array.of(1, 0));
    const labels = { name: LABELS.name, packed: stored, bytes: stored.length, method: 0 };
    await expect(npz(IMAGES, labels)()).resolves.toMatchObject({ classes: ['0', '1'] });
  });

  it('that unpacks to more than its directory promises', async () => {
    const packed = await packZeros(createDeflateRaw({ level: 1 }));
    const message = await refusal(npz({ name: 'train_images.npy', packed, bytes: 1000 }, LABELS));
    expect(message).toBe(
      'DIR/x.npz: not a readable NPZ (zip) file (train_images.npy: too many bytes in the stream. expected 1000. got at least 16384); fetch it again',
    );
  });

  it.each([
    ['too large an array', [{ ...IMAGES, bytes: 2 ** 31 + 1 }, LABELS], 'above the limit of 2147483648'],
    ['too many labels', [IMAGES, { ...LABELS, bytes: 80_000_001 }], 'above the limit of 80000000'],
    [
      'too much in all',
      ['train', 'val', 'test'].map((split) => ({ ...IMAGES, name: `${split}_images.npy`, bytes: 2 ** 31 })),
      'its arrays unpack to 6442450944 bytes, above the limit of 3221225472',
    ],
    ['a size that cannot be', [{ ...IMAGES, bytes: 2 ** 30 }, LABELS], 'to 1073741824, which cannot be'],
    [
      'less than it promises',
      [{ ...IMAGES, bytes: IMAGES.bytes + 1 }, LABELS],
      'not enough bytes in the stream. expected 131. got only 130',
    ],
    ['a member twice', [IMAGES, LABELS, IMAGES], 'it has two members train_images.npy'],
    ['an encrypted member', [{ ...IMAGES, flags: 1 }, LABELS], 'train_images.npy is encrypted'],
    ['an unknown method', [{ ...IMAGES, method: 12 }, LABELS], 'packed by method 12, which is not read'],
    [
      'a thousand and one members',
      Array.from({ length: 1001 }, (_, i) => ({ ...IMAGES, name: `${i}` })),
      'it has 1001 members, above the limit of 1000',
    ],
    [
      'names that fill a screen',
      Array.from({ length: 900 }, (_, i) => ({ ...IMAGES, name: `${i}`.padEnd(200, 'x') })),
      'has no array train_images',
    ],
  ])('with %s', async (_what, members, message) => {
    expect(await refusal(npz(...members))).toContain(message);
  });

  /** An archive of two good members whose bytes `spoil` changes; `directory` is where its first entry starts. */
  function spoilt(spoil: (archive: Buffer, directory: number) => Buffer | void): () => Promise<unknown> {
    const archive = zipBytes([IMAGES, LABELS]);
    const file = join(folder.path, 'x.npz');
    write(file, spoil(archive, archive.indexOf('PK\x01\x02')) ?? archive);
    return () => readNpz(file);
  }

  /** Puts the end record of Zip64 (APPNOTE 4.3.14) with its locator (4.3.15) before the plain one. */
  function withZip64End(archive: Buffer, { recordAt, directoryAt }: Record<string, bigint>): Buffer {
    const end = archive.subarray(-22);
    const record = Buffer.alloc(56);
    record.write('PK\x06\x06', 'latin1');
    record.writeBigUInt64LE(2n, 32);
    record.writeBigUInt64LE(directoryAt!, 48);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 'latin1');
    locator.writeBigUInt64LE(recordAt ?? BigInt(archive.length - 22), 8);
    return Buffer.concat([archive.subarray(0, -22), record, locator, end]);
  }

  const FAR = 2n ** 63n + 1n;

  it('with the end record of Zip64 is read', async () => {
    const read = spoilt((archive, directory) => withZip64End(archive, { directoryAt: BigInt(directory) }));
    await expect(read()).resolves.toMatchObject({ classes: ['0', '1'] });
  });

  it.each<[string, (archive: Buffer, directory: number) => Buffer | void, string]>([
    [
      'an end record where no file can reach',
      (archive) => withZip64End(archive, { recordAt: FAR, directoryAt: 0n }),
      'it points to where no file can reach',
    ],
    [
      'a directory where no file can reach',
      (archive) => withZip64End(archive, { directoryAt: FAR }),
      'it points to where no file can reach',
    ],
    [
      'a directory behind its end',
      (archive) => withZip64End(archive, { directoryAt: 2n ** 40n }),
      'unexpected EOF',
    ],
    [
      'a member behind its end',
      (archive, directory) => void archive.writeUInt32LE(0x7fffffff, directory + 42),
      'train_images.npy: unexpected EOF',
    ],
    [
      'a member that is longer than the file',
      (archive, directory) => void archive.writeUInt32LE(0x7fffffff, directory + 20),
      'train_images.npy: file data overflows file bounds',
    ],
    [
      'members that share their bytes',
      // The labels' header is that of the images, whose values are not labels.
      (archive, directory) =>
        void archive.writeUInt32LE(0, archive.indexOf('PK\x01\x02', directory + 1) + 42),
      'train_labels.npy',
    ],
    [
      'a name that leaves it',
      (archive, directory) => void archive.write('../', directory + 46),
      'invalid relative path: ../in_images.npy',
    ],
  ])('with %s', async (_what, spoil, message) => {
    expect(await refusal(spoilt(spoil))).toContain(message);
  });

  it.each([
    [
      'a header of a mebibyte',
      Buffer.concat([
        Buffer.from('\x93NUMPY\x02\0', 'latin1'),
        Buffer.from([0, 0, 16, 0]),
        Buffer.alloc(MIB),
      ]),
      'its NPY header claims 1048576 bytes, above the limit of 65536',
    ],
    [
      'a shape without end',
      npyBytes('|u1', [10 ** 15, 10 ** 15, 10 ** 15], Buffer.alloc(4)),
      'holds 4 bytes of values where shape',
    ],
    ['images without pixels', npyBytes('|u1', [2, 0, 0], Buffer.alloc(0)), 'is |u1 of shape (2, 0, 0)'],
    [
      'forty axes',
      npyBytes('|u1', Array<number>(40).fill(1), Buffer.alloc(1)),
      'has 40 axes; at most 32 are read',
    ],
  ])('with an array of %s', async (_what, content, message) => {
    expect(await refusal(npz(member('train_images.npy', content), LABELS))).toContain(message);
  });

  it('with more images than the limit', async () => {
    const images = npyBytes('|u1', [10_000_001, 1, 1], Buffer.alloc(10_000_001));
    expect(await refusal(npz(member('train_images.npy', images), LABELS))).toContain(
      '10000001 images are more than the limit of 10000000',
    );
  });
});

describe('IDX', () => {
  function idx(images: Uint8Array, labels: Uint8Array = idxBytes([1], [0])): () => Promise<unknown> {
    const name = images[0] === 0x1f ? '.gz' : '';
    write(join(folder.path, IDX_FILES.trainImages + name), images);
    write(join(folder.path, IDX_FILES.trainLabels + (labels[0] === 0x1f ? '.gz' : '')), labels);
    return () => readIdxFolder(folder.path, null);
  }

  it('that unpacks to more than its header promises', async () => {
    const start = Buffer.from(idxBytes([1, 2, 2], [1, 2, 3, 4]));
    const packed = await packZeros(createGzip({ level: 1 }), start);
    expect(await refusal(idx(packed))).toBe(
      'DIR/train-images-idx3-ubyte.gz: unpacks to more than its header promises; refused',
    );
  });

  it('that is no IDX but zeros without end', async () => {
    const packed = await packZeros(createGzip({ level: 1 }));
    expect(await refusal(idx(packed))).toContain('IDX magic names type 0x00 of rank 0');
  });

  it.each([
    [
      'four gibibytes of images',
      idxBytes([4, 32768, 32768], []),
      'and 4294967296 bytes in all; allowed are 1 to',
    ],
    [
      'more images than there are bytes',
      idxBytes([3, 100, 100], [1]),
      'holds 1 values where its header promises 30000',
    ],
    [
      'too many images',
      idxBytes([2 ** 31, 0, 0], []),
      'promises 2147483648 items, above the limit of 10000000',
    ],
    ['images without pixels', idxBytes([1, 0, 5], []), 'promises images of 0 x 5 and 0 bytes'],
  ])('that promises %s', async (_what, images, message) => {
    expect(await refusal(idx(images))).toContain(message);
    expect(await refusal(idx(gzipSync(images)))).toContain(message);
  });

  it('with too many labels', async () => {
    const labels = gzipSync(idxBytes([4_000_000_000], []));
    expect(await refusal(idx(idxBytes([1, 1, 1], [0]), labels))).toContain('promises 4000000000 items');
  });
});

describe('CSV', () => {
  const file = () => join(folder.path, 'x.csv');

  it.each([
    ['a field without end', `path,label\n"${'x'.repeat(MIB)}`],
    ['a row without end', `path,label\n${'x,'.repeat(MIB)}\n`],
    ['a header without end', 'x'.repeat(MIB)],
  ])('with %s', async (_what, text) => {
    write(file(), text);
    expect(await refusal(() => readTable(file()))).toBe(
      'DIR/x.csv: one of its rows is longer than the limit of 65536 characters (an unclosed quote?)',
    );
  });

  it('with more fields than rows and columns could hold', async () => {
    write(file(), `path,label${',x'.repeat(30_000)}\n${'a,b\n'.repeat(3000)}`);
    expect(await refusal(() => readTable(file()))).toBe(
      'DIR/x.csv: has 3000 rows of 30002 columns, above the limit of 67108864 fields; leave columns out',
    );
  });

  it('that is too large', async () => {
    write(file(), 'path,label\n');
    truncateSync(file(), 2 ** 27 + 1);
    expect(await refusal(() => readTable(file()))).toBe(
      'DIR/x.csv: has 134217729 bytes, above the limit of 134217728; refused',
    );
  });
});

describe('images', () => {
  /** Two good images and what `spoil` makes. */
  async function images(spoil: (file: string) => unknown): Promise<() => Promise<unknown>> {
    for (const name of ['a/1', 'a/2', 'b/1', 'b/2']) await writeImage(join(folder.path, `${name}.png`));
    await spoil(join(folder.path, 'b/3.png'));
    const validation = { from: 'none' } as const;
    await load({ source: folder.path, imageSize: 8, onBadImage: 'skip', validation }); // warm: threads and code
    return () => load({ source: folder.path, imageSize: 8, validation });
  }

  it.each([
    [
      'a PNG of a billion pixels',
      (file: string) => write(file, pngBytes(32_000, 32_000)),
      /exceeds pixel limit/,
    ],
    [
      'a JPEG that says it has four billion pixels',
      async (file: string) => {
        const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
          .jpeg()
          .toBuffer();
        const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
        jpeg.writeUInt32BE(0xffdcffdc, frame + 5);
        write(file, jpeg);
      },
      /exceeds pixel limit/,
    ],
    [
      'a drawing that names another file',
      (file: string) =>
        write(
          file,
          '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><image href="/etc/passwd"/></svg>',
        ),
      /unsupported image format: it is not a JPEG/,
    ],
    [
      'a pipe',
      (file: string) => execFileSync('mkfifo', [file]),
      /is not a file but a pipe, socket or device; refused/,
    ],
    [
      'a device',
      (file: string) => symlinkSync('/dev/zero', file),
      /is not a file but a pipe, socket or device; refused/,
    ],
    ['a folder that is named like an image', (file: string) => symlinkSync('nowhere', file), /ENOENT/],
    [
      'too large a file',
      (file: string) => {
        write(file, pngBytes(8, 8));
        truncateSync(file, 2 ** 28 + 1);
      },
      /has 268435457 bytes, above the limit of 268435456; refused/,
    ],
  ])('%s', async (_what, spoil, message) => {
    const read = await images(spoil);
    const line = await refusal(read);
    expect(line).toMatch(/^DIR\/b\/3\.png: cannot be decoded \(/);
    expect(line).toMatch(message);
  });
});

describe('folders of images', () => {
  it('that lead back to themselves', async () => {
    mkdirSync(join(folder.path, 'a'));
    symlinkSync('..', join(folder.path, 'a', 'up'));
    expect(await refusal(() => listImages(folder.path))).toBe(
      'DIR/a/up: is a link to a folder that contains it; remove it',
    );
  });

  it('with links that multiply', async () => {
    // Seven levels of ten links each to the next: ten million folders, were all gone into.
    for (let level = 0; level < 8; level++) mkdirSync(join(folder.path, `level${level}`));
    for (let level = 0; level < 7; level++)
      for (let i = 0; i < 10; i++)
        symlinkSync(`../level${level + 1}`, join(folder.path, `level${level}`, `${i}`));
    expect(await refusal(() => listImages(join(folder.path, 'level0')))).toMatch(
      /^DIR\/level0\/\S+: more than 16 links lead to this folder; remove some$/,
    );
  });
});
