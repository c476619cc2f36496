import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findNodeAddress } from './node-address.ts';
import { NODE_FILE, removeNodeFile, writeNodeFile } from './node-file.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ballast-address-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

it('takes an address, by flag before environment', async () => {
  expect(await findNodeAddress('10.0.0.1:4700', { BALLAST_NODE: 'b:1' }, dir)).toBe('10.0.0.1:4700');
  expect(await findNodeAddress('grpc://a:4700', {}, dir)).toBe('a:4700');
  expect(await findNodeAddress(undefined, { BALLAST_NODE: 'b:1' }, dir)).toBe('b:1');
});

it('takes the folder of a run that goes on', async () => {
  await writeNodeFile(dir, '127.0.0.1:5000');
  expect(await findNodeAddress('.', {}, dir)).toBe('127.0.0.1:5000');
  await removeNodeFile(dir);
  await removeNodeFile(dir); // there is none: well
  await expect(findNodeAddress(dir, {}, '/')).rejects.toThrow(`${dir}: no node works in this folder now`);
});

it.each(['', '{"pid":1}', 'nonsense'])('refuses a file that holds %j', async (text) => {
  writeFileSync(join(dir, NODE_FILE), text);
  await expect(findNodeAddress(dir, {}, '/')).rejects.toThrow('it names no node');
});

it.each([
  [undefined, {}, 'which node? Give --node HOST:PORT'],
  ['nowhere', {}, '--node nowhere: it is neither HOST:PORT nor a folder'],
  [undefined, { BALLAST_NODE: 'a:0' }, 'BALLAST_NODE a:0: it is neither'],
])('refuses %j with %j', async (given, environment, message) => {
  await expect(findNodeAddress(given, environment, dir)).rejects.toThrow(message);
});
