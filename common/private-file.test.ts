import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPrivateFile, refuseForeignFolder } from './private-file.ts';

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;

let dir: string;
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'private-'))));
afterAll(() => rmSync(dir, { recursive: true }));

function fileOf(mode: number): string {
  const path = join(dir, `secret-${mode.toString(8)}`);
  writeFileSync(path, 'secret');
  chmodSync(path, mode);
  return path;
}

describe('a file with a secret', () => {
  it.each([0o600, 0o400, 0o640])('is read with mode %o', (mode) =>
    expect(readPrivateFile(fileOf(mode)).toString()).toBe('secret'),
  );

  it.each([0o644, 0o604, 0o602, 0o666, 0o601])('is refused with mode %o', (mode) =>
    expect(() => readPrivateFile(fileOf(mode))).toThrow(
      /everybody on this machine .* set it to 0640 or less/,
    ),
  );

  it('is judged by what a link leads to', () => {
    const link = join(dir, 'link');
    symlinkSync(fileOf(0o644), link);
    expect(() => readPrivateFile(link)).toThrow('everybody on this machine');
  });

  it('is a file, and a small one', () => {
    expect(() => readPrivateFile(dir)).toThrow('is not a file');
    expect(() => readPrivateFile('/dev/zero')).toThrow('is not a file');
    expect(() => readPrivateFile(fileOf(0o600), 3)).toThrow('larger than 3 bytes');
    expect(() => readPrivateFile(join(dir, 'none'))).toThrow('cannot be read (ENOENT)');
  });

  it.skipIf(!isRoot)(`of another user is refused${isRoot ? '' : ' (skipped: needs root)'}`, () => {
    const path = fileOf(0o600);
    chownSync(path, NOBODY, NOBODY);
    expect(() => readPrivateFile(path)).toThrow('belongs to another user (uid 65534)');
  });
});

describe('a folder', () => {
  it('of this user, of root, or none yet, is accepted', () => {
    refuseForeignFolder(dir);
    refuseForeignFolder('/');
    refuseForeignFolder(join(dir, 'none'));
  });

  it.skipIf(!isRoot)(`of another user is refused${isRoot ? '' : ' (skipped: needs root)'}`, () => {
    const foreign = mkdtempSync(join(dir, 'foreign-'));
    chownSync(foreign, NOBODY, NOBODY);
    expect(() => refuseForeignFolder(foreign)).toThrow('belongs to another user (uid 65534); chown it');
  });
});
