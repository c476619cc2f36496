import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ObjectDirectory } from './object-directory.ts';
import { NodeObjectMetrics } from './object-metrics.ts';
import { ObjectRoom } from './object-room.ts';
import { StoreFiles, writeWhole } from './shared-memory.ts';

const digest = 'a'.repeat(64);

let folder: string;
let files: StoreFiles;
let directory: ObjectDirectory;
let room: ObjectRoom;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-room-'));
  files = new StoreFiles(folder, join(folder, 'spill'), 'n');
  directory = new ObjectDirectory(10);
  room = new ObjectRoom(directory, files, new NodeObjectMetrics(new Registry(), () => ({}), 0));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(id: string, text: string): Promise<{ id: string; digest: string; sizeBytes: number }> {
  const ref = { id, digest, sizeBytes: text.length };
  const path = await room.reserve({ id, sizeBytes: text.length, owner: 'a/1' });
  await writeWhole(path, new TextEncoder().encode(text));
  files.seal(path, ref);
  directory.seal(ref, 'primary', 'a/1', 0);
  return ref;
}

describe('reserve', () => {
  it('reports a full disk, and loses nothing', async () => {
    const first = await put('n/1', '12345678');
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const copying = vi.spyOn(files, 'copyToDisk').mockRejectedValue(full);
    const refused = room.reserve({ id: 'n/2', sizeBytes: 5, owner: 'a/1' });
    await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', objectId: 'n/2', cause: full });
    await expect(refused).rejects.toThrow('8 of 10 bytes are used');
    await expect(refused).rejects.toThrow('nothing can move to disk: the disk is full');
    expect(await readFile(files.path(first), 'utf8')).toBe('12345678');
    copying.mockRestore();
    await put('n/2', '12345');
    expect(directory.get('n/1')?.place).toBe('spill');
    expect(await readFile(files.spillPath(first), 'utf8')).toBe('12345678');
  });

  it('keeps in memory what somebody begins to read while it is copied to disk', async () => {
    const first = await put('n/1', '12345678');
    const copy = files.copyToDisk.bind(files);
    vi.spyOn(files, 'copyToDisk').mockImplementation(async (object) => {
      await copy(object);
      directory.pin('n/1', 'b/1');
    });
    await expect(room.reserve({ id: 'n/2', sizeBytes: 5, owner: 'a/1' })).rejects.toThrow(
      'being written or read',
    );
    expect(directory.get('n/1')?.place).toBe('memory');
    expect([existsSync(files.path(first)), existsSync(files.spillPath(first))]).toEqual([true, false]);
  });

  it('makes room for one at a time', async () => {
    await put('n/1', '12345');
    const both = [
      room.reserve({ id: 'n/2', sizeBytes: 6, owner: 'a/1' }),
      room.reserve({ id: 'n/3', sizeBytes: 4, owner: 'a/1' }),
    ];
    await Promise.all(both);
    expect(directory.memoryBytes).toBe(10);
    await expect(room.reserve({ id: 'n/4', sizeBytes: 1, owner: 'a/1' })).rejects.toThrow('10 being written');
  });
});
