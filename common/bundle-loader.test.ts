import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadBundled, saveCompiled } from './bundle-loader.ts';

/** As scripts/bundle.mjs writes them: strict, with an `import()` that it is given, and entries that run when they are asked for. */
const SOURCE = `'use strict';
module.exports = ($import) => {
  let runs = 0;
  const square = (x) => x * x;
  return {
    used: () => ({ runs: ++runs, square: square(4), file: __filename, join: require('node:path').join('a', 'b') }),
    os: () => $import('node:os'),
    sloppy: () => { notDeclared = 1; },
  };
};`;

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'ballast-bundle-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function bundle(name: string, source = SOURCE): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

it('loads a bundle once in a thread, and runs its entries', async () => {
  const path = bundle('once.cjs');
  expect(loadBundled(path, 'used')).toEqual({ runs: 1, square: 16, file: path, join: 'a/b' });
  expect(loadBundled(path, 'used')).toMatchObject({ runs: 2 });
  expect(await loadBundled(path, 'os')).toBe(await import('node:os'));
  expect(() => loadBundled(path, 'sloppy')).toThrow('notDeclared is not defined');
});

it('runs the code that V8 compiled before, whose file others may read', () => {
  const path = bundle('compiled.cjs');
  loadBundled(path, 'used');
  const umask = process.umask(0o077);
  saveCompiled();
  process.umask(umask);
  expect(statSync(`${path}.code`).mode & 0o777).toBe(0o644);
  // V8 compares compiled code with its source by length: another source of this length shows which of them ran.
  const changed = bundle('changed.cjs', SOURCE.replace('x * x', 'x + 1'));
  copyFileSync(`${path}.code`, `${changed}.code`);
  expect(loadBundled(changed, 'used')).toMatchObject({ square: 16 });
});

it('compiles the source where the compiled code is of another version', () => {
  const path = bundle('other.cjs');
  const code = readFileSync(join(folder, 'compiled.cjs.code'));
  writeFileSync(`${path}.code`, code.fill(0, 0, 16)); // its header
  expect(loadBundled(path, 'used')).toMatchObject({ square: 16 });
});
