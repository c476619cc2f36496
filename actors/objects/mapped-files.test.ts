import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMap, isMapped, lockShared, mapFile } from './mapped-files.ts';
import { SHARED_MEMORY } from './shared-memory.ts';

const SIZE = 1_500_000; // no whole number of pages

describe.skipIf(!canMap)('a mapped file', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(SHARED_MEMORY, 'ballast-test-'));
    path = join(folder, 'file');
    writeFileSync(path, Buffer.alloc(SIZE, 7));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function map(): Uint8Array {
    const file = openSync(path, 'r');
    try {
      expect(lockShared(file)).toBe(true);
      return mapFile(file, SIZE);
    } finally {
      closeSync(file);
    }
  }

  it('is read as it is, by several, and is in use while it is mapped', () => {
    expect(isMapped(path)).toBe(false);
    const [one, two] = [map(), map()];
    expect(Buffer.compare(one, readFileSync(path))).toBe(0);
    expect(two).toHaveLength(SIZE);
    expect(isMapped(path)).toBe(true);
    expect(one[0]! + two[SIZE - 1]!).toBe(14); // both live until here
  });

  it('keeps what is written to its bytes for itself', () => {
    const [one, two] = [map(), map()];
    one.fill(9, 0, 10_000);
    expect([one[5], two[5], readFileSync(path)[5]]).toEqual([9, 7, 7]);
  });

  it('stays after its name is gone', async () => {
    const bytes = map();
    await rm(path);
    expect(isMapped(path)).toBe(false);
    expect(Buffer.compare(bytes, Buffer.alloc(SIZE, 7))).toBe(0);
  });

  it('is copied, not moved, to another thread, which would outlive its mapping', () => {
    const bytes = map();
    const worker = new Worker('', { eval: true });
    try {
      worker.postMessage(bytes, [bytes.buffer as ArrayBuffer]);
    } catch (thrown) {
      expect(thrown).toMatchObject({ name: 'DataCloneError' }); // later versions of Node refuse
    }
    expect([bytes.byteLength, bytes[0]]).toEqual([SIZE, 7]);
    return worker.terminate();
  });

  it('is unmapped when its bytes are no longer referenced', async () => {
    const large = 16 * 1024 * 1024;
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(1), 0, 1, large - 1);
    for (let round = 0; round < 400; round++) {
      mapFile(file, large);
      await delay(1);
    }
    closeSync(file);
    const mappings = readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter((line) => line.includes(path));
    expect(mappings.length).toBeLessThan(100);
  });
});
