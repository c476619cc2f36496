import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { ownTokenFile, withOwnToken } from './own-token.ts';

const root = mkdtempSync(join(tmpdir(), 'own-token-'));
afterAll(() => rmSync(root, { recursive: true }));
let state: string;
let count = 0;
beforeEach(() => (state = join(root, `${++count}`)));

const fileIn = () => ownTokenFile({ XDG_STATE_HOME: state });

it('makes one token, for its owner alone, and finds it again', () => {
  const path = fileIn();
  expect(path).toBe(join(state, 'ballast/node-token'));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(state, 'ballast')).mode & 0o777).toBe(0o700);
  const token = readFileSync(path, 'utf8');
  expect(token).toMatch(/^[\w-]{43}\n$/); // 256 bits
  expect(fileIn()).toBe(path);
  expect(readFileSync(path, 'utf8')).toBe(token);
  expect(readdirSync(join(state, 'ballast'))).toEqual(['node-token']);
});

it('takes a home without a state folder', () => {
  expect(ownTokenFile({ HOME: state })).toBe(join(state, '.local/state/ballast/node-token'));
});

it('does without a home', () => {
  writeFileSync(state, 'a file where the home should be');
  expect(ownTokenFile({ HOME: state })).toBe(join(tmpdir(), `ballast-${process.geteuid!()}`, 'node-token'));
});

it.each([
  [
    'a token that others can read',
    (path: string) => chmodSync(path, 0o640),
    /others can read this token \(mode 640\)/,
  ],
  [
    'a folder that others can write',
    (path: string) => chmodSync(join(path, '..'), 0o770),
    /others can write in it \(mode 770\)/,
  ],
  [
    'a link in place of the token',
    (path: string) => {
      rmSync(path);
      symlinkSync('/etc/hostname', path);
    },
    /it is not a file/,
  ],
  [
    'a folder in place of the token',
    (path: string) => {
      rmSync(path);
      mkdirSync(path);
    },
    /it is not a file/,
  ],
])('refuses %s', (_what, spoil, message) => {
  spoil(fileIn());
  expect(fileIn).toThrow(message);
  expect(fileIn).toThrow(expect.objectContaining({ name: 'UserError' }));
});

it.each([
  ['BALLAST_TOKEN_FILE', '/t'],
  ['BALLAST_TLS_CERT', '/c'],
  ['BALLAST_INSECURE', '1'],
])('adds none where %s is set', (key, value) => {
  const environment = { XDG_STATE_HOME: state, [key]: value };
  expect(withOwnToken(environment)).toBe(environment);
});

it('adds it to an environment that names no credential', () => {
  expect(withOwnToken({ XDG_STATE_HOME: state, BALLAST_TOKEN_FILE: '' })).toMatchObject({
    BALLAST_TOKEN_FILE: join(state, 'ballast/node-token'),
  });
});
