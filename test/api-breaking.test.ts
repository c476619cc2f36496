// The check that the public API breaks no client of the last release: run as `make check` runs it, on changed copies.
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../common/package-root.ts';
import { newFolder } from './support/suite.ts';

const ROOT = packageRoot();
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

/** The output of `check:breaking` for the protos after `edit` of the public API's file. */
function check(edit: (text: string) => string): { code: number | null; output: string } {
  const folder = newFolder('protos');
  cpSync(join(ROOT, 'proto'), join(folder, 'proto'), { recursive: true });
  const file = join(folder, 'proto/ballast/v1/coordinator.proto');
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}` };
  const end = spawnSync('sh', ['-c', scripts['check:breaking']!], { cwd: folder, encoding: 'utf8', env });
  return { code: end.status, output: end.stdout + end.stderr };
}

function replaced(from: string, to: string): (text: string) => string {
  return (text) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  };
}

it('passes as the protos are, and with a field and a method more', () => {
  expect(check((text) => text)).toEqual({ code: 0, output: '' });
  const field = replaced(
    '  string weights_digest = 15;',
    '  string weights_digest = 15;\n  // New.\n  string more = 16;',
  );
  const method = replaced(
    'service CoordinatorService {',
    'service CoordinatorService {\n  // New.\n  rpc Again(GetRunRequest) returns (Run);',
  );
  expect(check((text) => method(field(text)))).toEqual({ code: 0, output: '' });
});

it.each([
  [
    'a number that changed',
    '  string weights_digest = 15;',
    '  string weights_digest = 16;',
    'weights_digest',
  ],
  ['a type that changed', '  double weight = 5;', '  float weight = 5;', 'Field "5" with name "weight"'],
  [
    'a name that changed',
    '  string request_id = 5;',
    '  string wish_id = 5;',
    'from "request_id" to "wish_id"',
  ],
  ['a method that is gone', 'rpc CancelRun(', 'rpc StopRun(', 'RPC "CancelRun"'],
  ['a state that is gone', 'STATE_CANCELLED = 4', 'STATE_STOPPED = 4', 'from "STATE_CANCELLED" to'],
])('fails on %s', (_what, from, to, named) => {
  const { code, output } = check(replaced(from, to));
  expect(code).not.toBe(0);
  expect(output).toContain(named);
});
