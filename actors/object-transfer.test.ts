import { describe, expect, it } from 'vitest';
import { assemble, CHUNK_BYTES, chunksOf, sha256Hex } from './object-transfer.ts';
import type { ObjectRef } from './object-transfer.ts';

// eslint-disable-next-line @typescript-eslint/require-await -- stands for a stream
async function* stream(chunks: Iterable<Uint8Array>) {
  yield* chunks;
}

const abc = new TextEncoder().encode('abc');
// SHA-256("abc"), FIPS 180-2, appendix B.1.
const abcRef: ObjectRef = {
  id: 'test/1/1',
  sizeBytes: 3,
  digest: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  holders: [],
};

it('cuts bytes into views of at most the chunk size', () => {
  const bytes = Uint8Array.from([1, 2, 3, 4, 5]);
  const chunks = [...chunksOf(bytes, 2)];
  expect(chunks.map((chunk) => [...chunk])).toEqual([[1, 2], [3, 4], [5]]);
  expect(chunks.every((chunk) => chunk.buffer === bytes.buffer)).toBe(true);
  expect([...chunksOf(new Uint8Array(0))]).toEqual([]);
  expect([...chunksOf(new Uint8Array(CHUNK_BYTES + 1))].map((chunk) => chunk.length)).toEqual([
    CHUNK_BYTES,
    1,
  ]);
});

describe('assemble', () => {
  it('puts chunks together when length and digest agree', async () => {
    expect(sha256Hex(abc)).toBe(abcRef.digest);
    expect(await assemble(abcRef, stream(chunksOf(abc, 2)))).toEqual(abc);
    const none = { ...abcRef, sizeBytes: 0, digest: sha256Hex(new Uint8Array(0)) };
    expect(await assemble(none, stream([]))).toHaveLength(0);
  });

  it.each([
    ['too short', 'ab', 'ended after 2 of 3 bytes'],
    ['too long', 'abcd', 'longer than its 3 bytes'],
    ['changed', 'abd', 'its reference says ba7816bf'],
  ])('refuses bytes that are %s', async (_name, text, message) => {
    const received = assemble(abcRef, stream(chunksOf(new TextEncoder().encode(text), 2)));
    await expect(received).rejects.toMatchObject({
      name: 'ObjectError',
      code: 'DATA_LOSS',
      objectId: 'test/1/1',
    });
    await expect(received).rejects.toThrow(message);
  });
});
