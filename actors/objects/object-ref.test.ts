import { expect, it } from 'vitest';
import { sha256Hex } from '../testing/sha256.ts';
import { digestOf, fileNameOf, ObjectError } from './object-ref.ts';

// SHA-256("abc") and of a million times "a", FIPS 180-2, appendices B.1 and B.3.
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const MILLION_A = 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0';

it('hashes, at once or in turns', async () => {
  const abc = new TextEncoder().encode('abc');
  expect([sha256Hex(abc), await digestOf(abc)]).toEqual([ABC, ABC]);
  expect(await digestOf(new Uint8Array(1_000_000).fill(97))).toBe(MILLION_A);
  const large = new Uint8Array(9 * 1024 * 1024).fill(5);
  expect(await digestOf(large)).toBe(sha256Hex(large));
  expect(await digestOf(new Uint8Array(0))).toBe(sha256Hex(new Uint8Array(0)));
});

it('names files by id and digest, and no file outside the folder', () => {
  expect(fileNameOf({ id: 'n/a-b_c/1/2-3', digest: ABC })).toBe(`n.a-b_c.1.2-3.${ABC}`);
  expect(fileNameOf({ id: 'n/a/1/2-4', digest: '' })).toBe('n.a.1.2-4.undigested');
  const refused = ['', '..', '../x', 'a//b', 'a/', '/a', 'a\0', 'a.b', 'x'.repeat(161)];
  for (const id of refused) expect(() => fileNameOf({ id, digest: ABC }), id).toThrow(ObjectError);
  for (const digest of ['undigested', 'ABC', `${ABC}0`, `../${ABC.slice(3)}`]) {
    expect(() => fileNameOf({ id: 'a', digest }), digest).toThrow('not a SHA-256 in hex');
  }
});
