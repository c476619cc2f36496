import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyInto, keptMapping } from './kept-mappings.ts';
import { canMap } from './mapped-files.ts';
import { SHARED_MEMORY, writeWhole } from './shared-memory.ts';

const why = canMap ? '' : ' (skipped: only a main thread on Linux maps files)';
const MIB = 1024 * 1024;

describe.skipIf(!canMap)(`a file that is written again and again${why}`, () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(SHARED_MEMORY, 'ballast-test-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  const mappingOf = async (path: string, sizeBytes: number) => {
    const file = await open(path, 'r+');
    try {
      return await keptMapping(file, sizeBytes);
    } finally {
      await file.close();
    }
  };

  it('is mapped, and holds what was copied', async () => {
    const path = join(folder, 'again');
    writeFileSync(path, new Uint8Array(2 * MIB).fill(1));
    const mapping = (await mappingOf(path, 2 * MIB))!;
    await copyInto(mapping, [new Uint8Array(MIB).fill(2), new Uint8Array(10).fill(3)]);
    expect([...readFileSync(path).subarray(MIB - 1, MIB + 11)]).toEqual([2, ...Array<number>(10).fill(3), 1]);
    for (const seed of [4, 5, 6]) {
      await writeWhole(path, [new Uint8Array(MIB).fill(seed), Uint8Array.of(seed + 1)]);
      expect(readFileSync(path)).toHaveLength(MIB + 1);
      expect([readFileSync(path)[0], readFileSync(path).at(-1)]).toEqual([seed, seed + 1]);
    }
  });

  it('is not where memory is missing: such a write has to fail, not to kill', async () => {
    const path = join(folder, 'holes');
    writeFileSync(path, new Uint8Array(MIB));
    expect(await mappingOf(path, MIB + 1)).toBeNull();
    truncateSync(path, 4 * MIB);
    expect(await mappingOf(path, 4 * MIB)).toBeNull();
  });
});
