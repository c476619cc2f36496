import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findCircle, importsOf } from './import-circles.ts';

const ROOT = join(import.meta.dirname, '..');

it('no file of the project imports itself by way of others', () => {
  const command = ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'];
  const listed = execFileSync('git', command, { cwd: ROOT, encoding: 'utf8' }).split('\n');
  const files = listed.filter((file) => file !== '' && existsSync(join(ROOT, file)));
  expect(files).toContain('actors/index.ts');
  expect(findCircle(importsOf(ROOT, files))).toBeNull();
});

it('names the files of a circle in order', () => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['leaf', 'c']],
    ['c', ['d']],
    ['d', ['b']],
    ['leaf', []],
  ]);
  expect(findCircle(imports)).toEqual(['b', 'c', 'd', 'b']);
});
