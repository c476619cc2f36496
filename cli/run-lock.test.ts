import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { LOCK_NAME, lockRunFolder, refuseLocked } from './run-lock.ts';

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'ballast-lock-'));
}

it('names the living process that works in a folder', async () => {
  const dir = newFolder();
  writeFileSync(join(dir, LOCK_NAME), `${process.ppid}\n`); // alive as long as this test
  await expect(refuseLocked(dir)).rejects.toThrow(UserError);
  await expect(lockRunFolder(dir)).rejects.toThrow(`process ${process.ppid} is working in this folder`);
  expect(readFileSync(join(dir, LOCK_NAME), 'utf8')).toBe(`${process.ppid}\n`);
});

it('takes over from a process that is gone, and gives the folder back', async () => {
  const dir = newFolder();
  const { pid } = spawnSync(process.execPath, ['--version']);
  writeFileSync(join(dir, LOCK_NAME), `${pid}\n`);
  const release = await lockRunFolder(dir);
  expect(readFileSync(join(dir, LOCK_NAME), 'utf8')).toBe(`${process.pid}\n`);
  await release();
  expect(existsSync(join(dir, LOCK_NAME))).toBe(false);
  await refuseLocked(join(dir, 'not-there'));
});

it('is given back by its holder only', async () => {
  const dir = newFolder();
  const release = await lockRunFolder(dir);
  writeFileSync(join(dir, LOCK_NAME), `${process.ppid}\n`); // somebody removed it by hand, and another took it
  await release();
  expect(readFileSync(join(dir, LOCK_NAME), 'utf8')).toBe(`${process.ppid}\n`);
});
