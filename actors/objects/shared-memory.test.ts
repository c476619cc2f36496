import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { choosePlace, readSealed, SHARED_MEMORY, StoreFiles, writeWhole } from './shared-memory.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const object = { id: 'n/a/1/1-1', digest: 'a'.repeat(64), sizeBytes: 2 * MIB };

let folder: string;
let files: StoreFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-files-'));
  files = new StoreFiles(folder, join(folder, 'spill'), 'n');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('choosePlace', () => {
  const facts = {
    sharedFreeBytes: 20 * GIB,
    memoryBytes: 40 * GIB,
    wantedBytes: undefined,
    runRoot: '/run/objects',
  };

  it.each([
    ['30% of memory in shared memory', {}, { root: SHARED_MEMORY, capacityBytes: 12 * GIB }],
    [
      'what shared memory has, if that is much',
      { sharedFreeBytes: 10 * GIB },
      { root: SHARED_MEMORY, capacityBytes: 9 * GIB },
    ],
    [
      "the run's folder, if it has little",
      { sharedFreeBytes: 64 * MIB },
      { root: '/run/objects', capacityBytes: 12 * GIB },
    ],
    ['what is wanted', { wantedBytes: 5 }, { root: SHARED_MEMORY, capacityBytes: 5 }],
    [
      'what is wanted, elsewhere',
      { wantedBytes: 19 * GIB },
      { root: '/run/objects', capacityBytes: 19 * GIB },
    ],
    ['no shared memory', { sharedFreeBytes: 0, wantedBytes: 5 }, { root: '/run/objects', capacityBytes: 5 }],
  ])('takes %s', (_name, change, expected) => {
    expect(choosePlace({ ...facts, ...change })).toEqual(expected);
  });
});

async function writeSealed(fill: number, id = object.id): Promise<string> {
  const path = files.take(object.sizeBytes);
  await writeWhole(path, new Uint8Array(object.sizeBytes).fill(fill));
  files.seal(path, { ...object, id });
  return files.path({ ...object, id });
}

describe('StoreFiles', () => {
  it('is for this user only, and leaves nothing behind', async () => {
    expect(statSync(files.folder).mode & 0o777).toBe(0o700);
    await writeSealed(1);
    await files.copyToDisk(object);
    expect(existsSync(files.spillPath(object))).toBe(true);
    files.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('writes used files again, shorter content too, within its limit', async () => {
    const first = await writeSealed(1);
    const { ino } = statSync(first);
    files.recycle(first, object.sizeBytes, 2 * MIB);
    expect(files.blankBytes).toBe(2 * MIB);
    const path = files.take(MIB);
    expect(statSync(path).ino).toBe(ino);
    await writeWhole(path, new Uint8Array(MIB).fill(9));
    files.seal(path, { ...object, sizeBytes: MIB });
    expect(Buffer.compare(await readFile(files.path(object)), Buffer.alloc(MIB, 9))).toBe(0);
    files.recycle(files.path(object), MIB, MIB - 1);
    expect([files.blankBytes, existsSync(files.path(object))]).toEqual([0, false]);
  });

  it('drops files kept for reuse when they are in the way', async () => {
    for (const id of ['n/1', 'n/2']) files.recycle(await writeSealed(1, id), object.sizeBytes, GIB);
    expect(files.blankBytes).toBe(2 * MIB); // the second was written into the first
    files.trimBlanks(2 * MIB - 1);
    expect([files.blankBytes, files.blankCount]).toEqual([0, 0]);
  });

  it('refuses to seal what is not whole', () => {
    const path = files.take(10);
    writeFileSync(path, 'short');
    expect(() => files.seal(path, object)).toThrow('has 5 bytes, not 2097152');
  });
});

describe('readSealed', () => {
  it('reads whole files, and notes when', async () => {
    const path = await writeSealed(3);
    const before = statSync(path).mtimeMs;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(
      Buffer.compare((await readSealed(path, object.sizeBytes))!, Buffer.alloc(object.sizeBytes, 3)),
    ).toBe(0);
    expect(statSync(path).mtimeMs).toBeGreaterThan(before);
  });

  it('gives nothing of a file that is missing, of another size, or renamed while it was read', async () => {
    expect(await readSealed(join(folder, 'none'), 1)).toBeNull();
    const path = await writeSealed(3);
    expect(await readSealed(path, 1)).toBeNull();
    const reading = readSealed(path, object.sizeBytes);
    renameSync(path, join(folder, 'blank'));
    expect(await reading).toBeNull();
  });
});

describe.skipIf(!existsSync(SHARED_MEMORY))('files that a process has mapped', () => {
  let shared: string;
  let holder: ChildProcess;

  beforeEach(async () => {
    shared = await mkdtemp(join(SHARED_MEMORY, 'ballast-test-'));
    files = new StoreFiles(shared, join(folder, 'spill'), 'n');
  });

  afterEach(async () => {
    holder.kill('SIGKILL');
    await rm(shared, { recursive: true });
  });

  /** As a process that maps it. */
  async function hold(path: string): Promise<void> {
    holder = spawn('flock', ['--shared', '--no-fork', path, 'sh', '-c', 'echo locked; exec sleep 60']);
    await once(holder.stdout!, 'data');
  }

  it('are not written again until it ends', async () => {
    const path = await writeSealed(3);
    expect(files.isMapped(path, object.sizeBytes)).toBe(false);
    await hold(path);
    expect(files.isMapped(path, object.sizeBytes)).toBe(true);
    const { ino } = statSync(path);
    files.recycle(path, object.sizeBytes, GIB);
    expect(existsSync(files.take(object.sizeBytes))).toBe(false);
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
    expect(statSync(files.take(object.sizeBytes)).ino).toBe(ino);
  });

  it('keep their bytes, whatever is put later', async () => {
    const path = await writeSealed(3);
    holder = spawn('true');
    const bytes = (await readSealed(path, object.sizeBytes))!;
    files.recycle(path, object.sizeBytes, GIB);
    await writeSealed(4, 'n/later');
    expect(Buffer.compare(bytes, Buffer.alloc(object.sizeBytes, 3))).toBe(0);
  });
});
