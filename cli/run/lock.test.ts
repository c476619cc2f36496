import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { UserError } from '../../common/errors.ts';
import { LOCK_NAME, lockRunFolder, refuseLocked, thisHost } from './lock.ts';

const FAST = { beatMs: 20, silenceMs: 200 };

/** Gone when the test ends. */
function newFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ballast-lock-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

function writeLock(dir: string, pid: number, host = thisHost()): string {
  const content = `${JSON.stringify({ pid, host, beat: '000000000001' })}\n`;
  writeFileSync(join(dir, LOCK_NAME), content);
  return content;
}

function readLock(dir: string): { pid: number; host: string } {
  return JSON.parse(readFileSync(join(dir, LOCK_NAME), 'utf8')) as { pid: number; host: string };
}

it('names the living process that works in a folder', async () => {
  const dir = newFolder();
  const content = writeLock(dir, process.ppid); // alive as long as this test
  await expect(refuseLocked(dir)).rejects.toThrow(UserError);
  await expect(lockRunFolder(dir)).rejects.toThrow(`process ${process.ppid} is working in this folder`);
  expect(readFileSync(join(dir, LOCK_NAME), 'utf8')).toBe(content);
});

it('takes over from a process that is gone, and gives the folder back', async () => {
  const dir = newFolder();
  const { pid } = spawnSync(process.execPath, ['--version']);
  writeLock(dir, pid);
  const release = await lockRunFolder(dir);
  expect(readLock(dir)).toMatchObject({ pid: process.pid, host: thisHost() });
  await release();
  expect(existsSync(join(dir, LOCK_NAME))).toBe(false);
  await refuseLocked(join(dir, 'not-there'));
});

it('takes over a file that names no process', async () => {
  const dir = newFolder();
  writeFileSync(join(dir, LOCK_NAME), '17');
  await (
    await lockRunFolder(dir)
  )();
  expect(existsSync(join(dir, LOCK_NAME))).toBe(false);
});

it('is given back by its holder only, and counts in no file but its own', async () => {
  const dir = newFolder();
  const release = await lockRunFolder(dir, FAST);
  // Somebody removed it by hand, and another took it.
  spawnSync('rm', [join(dir, LOCK_NAME)]);
  const content = writeLock(dir, process.ppid);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await release();
  expect(readFileSync(join(dir, LOCK_NAME), 'utf8')).toBe(content);
});

it('refuses a process of another machine while the holder counts, though no process has its id here', async () => {
  const dir = newFolder();
  const release = await lockRunFolder(dir, { ...FAST, host: 'far/1' });
  const line = new RegExp(
    `^${dir}: process ${process.pid} on far is working in this folder; wait for it [^\n]*$`,
  );
  await expect(lockRunFolder(dir, FAST)).rejects.toThrow(line);
  await expect(refuseLocked(dir, FAST)).rejects.toThrow(UserError);
  await release();
  await (
    await lockRunFolder(dir, FAST)
  )();
});

it('takes over from another machine that has stopped to count, though a process has that id here', async () => {
  const dir = newFolder();
  writeLock(dir, process.ppid, 'far/1');
  const startMs = performance.now();
  const release = await lockRunFolder(dir, FAST);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(FAST.silenceMs);
  expect(readLock(dir).host).toBe(thisHost());
  await release();
});

it('of several that find a lock left behind one has it afterwards', async () => {
  const dir = newFolder();
  writeLock(dir, process.ppid, 'far/1');
  const tries = await Promise.allSettled(
    ['a/1', 'b/1', 'c/1'].map((host) => lockRunFolder(dir, { ...FAST, host })),
  );
  const held = tries.filter(({ status }) => status === 'fulfilled');
  expect(held).toHaveLength(1);
  for (const taken of tries) if (taken.status === 'fulfilled') await taken.value();
});
