import { readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import sharp from 'sharp';
import { decode } from '../decode.ts';
import { temporaryFolder, type TemporaryFolder } from '../fixtures.ts';
import { bytesOf } from '../images.ts';
import type { Wanted } from '../image-decoder.ts';
import { boundImageCache, chooseOldPacks, ImageCache, listPacks } from './image-cache.ts';
import { PackedImages } from './packed-images.ts';

let folder: TemporaryFolder;
beforeEach(() => (folder = temporaryFolder()));
afterEach(() => folder.remove());

const digestOf = (n: number) => n.toString(16).padStart(64, '0');

describe('packs', () => {
  it('hold what was added, for this process and for those that open the cache later', async () => {
    const cache = await ImageCache.open(folder.path, ['one way'], 4);
    const places = [await cache.add(digestOf(1), Uint8Array.of(1, 2, 3, 4)), await cache.add(digestOf(2), Uint8Array.of(5, 6, 7, 8))]; // prettier-ignore
    expect(await cache.add(digestOf(1), Uint8Array.of(9, 9, 9, 9))).toEqual(places[0]);
    await cache.finish();
    const images = new PackedImages([places[1]!, places[0]!, places[1]!], 4);
    expect(images.length).toBe(12);
    expect([...bytesOf(images)]).toEqual([5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...images.subarray(3, 6)]).toEqual([8, 1, 2]);
    const again = await ImageCache.open(folder.path, ['one way'], 4);
    expect(again.find(digestOf(2))).toEqual(places[1]);
    expect((await ImageCache.open(folder.path, ['another way'], 4)).find(digestOf(2))).toBeNull();
    rmSync(folder.path, { recursive: true }); // who has opened them, still reads them
    expect([...images.subarray(4, 8)]).toEqual([1, 2, 3, 4]);
  });

  it('that are damaged count as absent', async () => {
    const cache = await ImageCache.open(folder.path, [], 4);
    const { pack } = await cache.add(digestOf(1), Uint8Array.of(1, 2, 3, 4));
    await cache.finish();
    truncateSync(pack, 3);
    expect((await ImageCache.open(folder.path, [], 4)).find(digestOf(1))).toBeNull();
  });

  it('go when they are too many, the longest unused first, and never those in use', () => {
    const pack = (path: string, usedAtMs: number, isFinished = true) => ({ path, sizeBytes: 10, usedAtMs, isFinished }); // prettier-ignore
    const packs = [pack('old', 1), pack('new', 3), pack('middle', 2), pack('dead', 0, false), pack('young', 4e6, false)]; // prettier-ignore
    expect(chooseOldPacks(packs, 20, new Set(), 4e6).sort()).toEqual(['dead', 'old']);
    expect(chooseOldPacks(packs, 10, new Set(['old']), 4e6).sort()).toEqual(['dead', 'middle', 'new']);
    expect(chooseOldPacks(packs, 5, new Set(['old']), 1)).toEqual(['new', 'middle']);
  });

  it('are removed with their index', async () => {
    const cache = await ImageCache.open(folder.path, [], 4);
    await cache.add(digestOf(1), Uint8Array.of(1, 2, 3, 4));
    await cache.finish();
    const before = process.env['BALLAST_IMAGE_CACHE_GIB'];
    process.env['BALLAST_IMAGE_CACHE_GIB'] = '0.000000001';
    try {
      await boundImageCache(folder.path, new Set());
    } finally {
      if (before === undefined) delete process.env['BALLAST_IMAGE_CACHE_GIB'];
      else process.env['BALLAST_IMAGE_CACHE_GIB'] = before;
    }
    expect(await listPacks(folder.path)).toEqual([]);
    expect(readdirSync(folder.path, { recursive: true }).filter((name) => String(name).includes('.'))).toEqual([]); // prettier-ignore
  });
});

describe('decoding of a large set', () => {
  const SIDE = 512;
  const wanted: Wanted = { height: SIDE, width: SIDE, channels: 3, resize: 'crop', scale: null };
  /** An image of one colour. */
  const draw = (file: string, value: number) =>
    sharp({ create: { width: 4, height: 4, channels: 3, background: { r: value, g: value, b: value } } }).png().toFile(file); // prettier-ignore
  let cacheFolder: string;
  beforeEach(() => {
    cacheFolder = join(folder.path, 'cache');
    process.env['BALLAST_IMAGE_CACHE'] = cacheFolder;
  });
  afterEach(() => {
    process.env['BALLAST_IMAGE_CACHE'] = 'off';
  });

  it('decodes each content once, and a changed image again, and no other', async () => {
    const files = Array.from({ length: 24 }, (_, i) => join(folder.path, `${i}.png`));
    await Promise.all(files.map((file, i) => draw(file, 10 * i)));
    writeFileSync(files[5]!, 'no image');
    const read = () => decode({ kind: 'files', files }, wanted, 'skip');
    const valuesOf = ({ images }: Awaited<ReturnType<typeof read>>) =>
      Array.from({ length: images.length / (SIDE * SIDE * 3) }, (_, i) => images.subarray(i * SIDE * SIDE * 3, i * SIDE * SIDE * 3 + 1)[0]); // prettier-ignore
    const first = await read();
    const right = files.map((_, i) => 10 * i).filter((value) => value !== 50);
    expect(valuesOf(first)).toEqual(right);
    expect(first.skipped).toEqual([{ file: files[5], reason: expect.any(String) as string }]);
    const [pack] = await listPacks(cacheFolder);
    expect(pack!.sizeBytes).toBe(23 * SIDE * SIDE * 3);
    utimesSync(pack!.path, new Date(0), new Date(0));
    expect(valuesOf(await read())).toEqual(right);
    const [unchanged] = await listPacks(cacheFolder);
    expect(unchanged!.usedAtMs).toBeGreaterThan(0); // it is known to be in use
    await draw(files[3]!, 255);
    expect(valuesOf(await read())[3]).toBe(255);
    const sizes = (await listPacks(cacheFolder)).map(({ sizeBytes }) => sizeBytes / (SIDE * SIDE * 3));
    expect(sizes.sort((a, b) => a - b)).toEqual([1, 23]);
  });
});
