import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { UserError } from './errors.ts';
import { appendLine, ensureDirectory, writeFailure, writeFileAtomic } from './files.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ballast-files-'))));
afterAll(() => rm(folder, { recursive: true }));

it('writes whole files, makes folders, and leaves nothing beside them', async () => {
  const path = join(folder, 'a', 'b', 'config.json');
  await writeFileAtomic(path, 'old');
  await writeFileAtomic(path, Uint8Array.from([110, 101, 119]));
  expect(await readFile(path, 'utf8')).toBe('new');
  await expect(writeFileAtomic(join(folder, 'a'), 'x')).rejects.toThrow(); // a folder is in the way
  expect(await readdir(join(folder, 'a', 'b'))).toEqual(['config.json']);
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

it('appends lines, one at a time', async () => {
  const path = join(folder, 'logs', 'lines.jsonl');
  await appendLine(path, '{"a":1}');
  await appendLine(path, '{"a":2}');
  expect(await readFile(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
  await expect(appendLine(path, 'two\nlines')).rejects.toThrow('newline');
});

it('says what the user can do', async () => {
  await expect(ensureDirectory('/dev/null/runs')).rejects.toThrow(
    'Cannot write /dev/null/runs: a part of the path',
  );
  const full = writeFailure('/r', Object.assign(new Error('no space'), { code: 'ENOSPC' }));
  expect(full).toBeInstanceOf(UserError);
  expect((full as Error).message).toBe(
    'Cannot write /r: the disk is full: free some space or choose another folder.',
  );
  const other = new TypeError('defect');
  expect(writeFailure('/r', other)).toBe(other);
});

it.skipIf(!existsSync('/dev/full'))('turns a full disk into a user error', async () => {
  await expect(appendLine('/dev/full', 'x')).rejects.toThrow('Cannot write /dev/full: the disk is full');
});
