import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkResumable, prepareRunFolder } from './folder-check.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ballast-folder-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const touch = (name: string) => writeFileSync(join(dir, name), '{}');

describe('prepareRunFolder', () => {
  it('makes a missing folder, takes an empty one and one where a run failed before it began', async () => {
    await prepareRunFolder(join(dir, 'a', 'b'), false);
    expect(existsSync(join(dir, 'a', 'b'))).toBe(true);
    await prepareRunFolder(join(dir, 'a', 'b'), false);
    mkdirSync(join(dir, 'a', 'b', 'logs'));
    await prepareRunFolder(join(dir, 'a', 'b'), false);
  });

  it('refuses a run, and says what to do', async () => {
    touch('config.json');
    await expect(prepareRunFolder(dir, false)).rejects.toThrow(`continue it with --resume ${dir}`);
  });

  it('removes a run on demand', async () => {
    touch('config.json');
    mkdirSync(join(dir, 'checkpoints'));
    await prepareRunFolder(dir, true);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('never removes what no run wrote', async () => {
    touch('config.json');
    touch('thesis.doc');
    await expect(prepareRunFolder(dir, true)).rejects.toThrow('holds files that no run wrote (thesis.doc)');
    expect(existsSync(join(dir, 'config.json'))).toBe(true);
  });

  it('refuses a file', async () => {
    touch('file');
    await expect(prepareRunFolder(join(dir, 'file'), false)).rejects.toThrow('is a file');
  });
});

describe('checkResumable', () => {
  it('distinguishes a missing folder from one that is no run', () => {
    expect(() => checkResumable(join(dir, 'none'))).toThrow('there is no such run folder');
    expect(() => checkResumable(dir)).toThrow('it has no config.json');
  });
});
