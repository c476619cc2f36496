import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CallError } from '../base/call-errors.ts';
import { CHUNK_BYTES } from '../proto/chunk-buffers.ts';
import { sha256Hex } from '../testing/sha256.ts';
import type { ObjectRef } from './object-ref.ts';
import { chunksOf, Progress, receive } from './object-transfer.ts';

const BYTES = new TextEncoder().encode('abcdef');
const ref: ObjectRef = { id: 't/1', sizeBytes: 6, digest: sha256Hex(BYTES), holders: [] };

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ballast-transfer-'))));
afterAll(() => rm(folder, { recursive: true }));

type Script = Readonly<Record<string, (offset: number) => Iterable<string | Error>>>;

/** Receives from sources that send the texts, or throw the errors, that the script says; in the order of its keys. */
async function receiveFrom(script: Script, object = ref, told = '') {
  const path = join(folder, 'file');
  const asked: string[] = [];
  const failures: string[] = [];
  const progress = new Progress();
  await receive({
    ref: object,
    path,
    progress,
    signal: new AbortController().signal,
    onFailure: ({ code }) => failures.push(code),
    sources: {
      digest: () => Promise.resolve(told),
      next: (failed) => {
        const source = Object.keys(script).find((name) => !failed.has(name));
        return source === undefined
          ? Promise.reject(new CallError('NOT_FOUND', 'none left'))
          : Promise.resolve(source);
      },
      // oxlint-disable-next-line typescript/require-await -- stands for a stream
      async *pull(source, offset) {
        asked.push(`${source} from ${offset}`);
        for (const item of script[source]!(offset)) {
          if (typeof item !== 'string') throw item;
          yield { chunk: new TextEncoder().encode(item) };
        }
      },
    },
  });
  return { text: await readFile(path, 'utf8'), asked, failures, bytes: progress.bytes };
}

const cut = new CallError('UNAVAILABLE', 'the connection was cut');

describe('receive', () => {
  it('puts chunks together, over what the file held', async () => {
    await writeFile(join(folder, 'file'), 'something longer');
    const received = await receiveFrom({ a: () => ['ab', 'cdef'] });
    expect(received).toEqual({ text: 'abcdef', asked: ['a from 0'], failures: [], bytes: 6 });
    const none = { ...ref, sizeBytes: 0, digest: sha256Hex(new Uint8Array(0)) };
    expect(await receiveFrom({}, none)).toMatchObject({ text: '', asked: [] });
  });

  it('asks for the SHA-256 where the reference has none', async () => {
    const undigested = { ...ref, digest: '' };
    const given = { a: () => ['abcdef'] };
    expect((await receiveFrom(given, undigested, sha256Hex(BYTES))).text).toBe('abcdef');
    await expect(receiveFrom(given, undigested, 'f'.repeat(64))).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('resumes where a connection was cut', async () => {
    const received = await receiveFrom({ a: (offset) => (offset === 0 ? ['ab', 'c', cut] : ['def']) });
    expect(received).toMatchObject({
      text: 'abcdef',
      asked: ['a from 0', 'a from 3'],
      failures: ['UNAVAILABLE'],
    });
  });

  it('goes on with another source after two attempts without a byte, or a refusal', async () => {
    const dead = await receiveFrom({
      a: (offset) => (offset === 0 ? ['abcd', cut] : [cut]),
      b: () => ['ef'],
    });
    expect(dead.text).toBe('abcdef');
    expect(dead.asked).toEqual(['a from 0', 'a from 4', 'a from 4', 'b from 4']);
    const freed = await receiveFrom({
      a: () => [new CallError('NOT_FOUND', 'it was freed')],
      b: () => ['abcdef'],
    });
    expect(freed.asked).toEqual(['a from 0', 'b from 0']);
  });

  it('names every source when none gives it', async () => {
    const refused = receiveFrom({ a: () => [new CallError('NOT_FOUND', 'it was freed')], b: () => [cut] });
    await expect(refused).rejects.toMatchObject({
      name: 'ObjectError',
      code: 'UNAVAILABLE',
      objectId: 't/1',
    });
    await expect(refused).rejects.toThrow('a: it was freed; b: the connection was cut');
    await expect(receiveFrom({})).rejects.toThrow('none left');
  });

  it.each([
    ['too short', ['ab'], 'ended after 2 of 6 bytes'],
    ['too long', ['abcdefg'], 'longer than its 6 bytes'],
    ['changed', ['abcdeg'], `its reference says ${ref.digest}`],
  ])('refuses bytes that are %s', async (_name, texts, message) => {
    const received = receiveFrom({ a: () => texts });
    await expect(received).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(received).rejects.toThrow(message);
  });
});

describe('Progress', () => {
  it('lets relays wait for bytes, and reports the end', async () => {
    const progress = new Progress();
    const waiting = progress.beyond(3);
    progress.advance(3);
    progress.advance(5);
    expect(await waiting).toBe(5);
    expect(await progress.beyond(4)).toBe(5);
    const more = progress.beyond(5);
    progress.fail(new Error('broken'));
    await expect(more).rejects.toThrow('broken');
    expect(await progress.beyond(0)).toBe(5);
  });
});

describe('chunksOf', () => {
  async function read(from: number, to: number, chunkBytes?: number): Promise<string[]> {
    const path = join(folder, 'chunks');
    await writeFile(path, BYTES);
    const file = await open(path);
    const texts: string[] = [];
    try {
      for await (const chunk of chunksOf(file, from, to, chunkBytes))
        texts.push(Buffer.from(chunk).toString());
    } finally {
      await file.close();
    }
    return texts;
  }

  it('cuts a part of a file', async () => {
    expect(await read(0, 6, 4)).toEqual(['abcd', 'ef']);
    expect(await read(1, 5, 2)).toEqual(['bc', 'de']);
    expect(await read(3, 3)).toEqual([]);
    expect(CHUNK_BYTES).toBeGreaterThan(6);
    await expect(read(0, 7)).rejects.toThrow('shorter than its object');
  });
});
