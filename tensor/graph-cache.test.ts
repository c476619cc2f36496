import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../common/log.ts';
import { chooseEvictions, GraphCache } from './graph-cache.ts';
import type { GraphFacts } from './graph-cache.ts';
import { graphKey } from './graph-key.ts';

const MINUTE_MS = 60_000;
const FACTS: GraphFacts = {
  identity: 'f[1]',
  digest: 'd',
  usedInputs: ['in:x'],
  flops: 6,
  form: { y: { result: 'out:y' } },
};
const MODEL = Uint8Array.from([0, 10, 255, 10]);

let base: string;
let folder: string;
let lines: string[];
let count = 0;
beforeAll(async () => void (base = await mkdtemp(join(tmpdir(), 'ballast-graphs-'))));
beforeEach(() => {
  folder = join(base, String(count++), 'graphs');
  lines = [];
});
afterAll(() => rm(base, { recursive: true }));

const key = (digest: string, holdsValues = false) => ({ digest, holdsValues });
const open = (limitBytes?: number, at = folder) =>
  new GraphCache(at, limitBytes, createLog({ write: (line) => lines.push(line) }));

async function put(cache: GraphCache, digest: string, model = MODEL, holdsValues = false): Promise<void> {
  const path = await cache.reserve();
  await writeFile(path!, model);
  await cache.keep(key(digest, holdsValues), FACTS, path!);
}

describe('the graph cache', () => {
  it('gives another process what one has kept, and leaves nothing beside it', async () => {
    expect(await open().read(key('a'))).toBeNull(); // no folder yet, and no complaint
    await put(open(), 'a');
    const kept = await open().read(key('a'));
    expect(kept?.facts).toEqual(FACTS);
    expect([...kept!.model]).toEqual([...MODEL]);
    expect(await readdir(folder)).toEqual(['inputs-a.graph']);
    expect(lines).toEqual([]);
  });

  it.each([
    ['a changed byte', (bytes: Buffer) => void bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1)],
    ['a cut file', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['an empty file', () => Buffer.alloc(0)],
  ])('takes no graph from %s, and removes it', async (_what, damage) => {
    await put(open(), 'a');
    const path = join(folder, 'inputs-a.graph');
    const bytes = await readFile(path);
    await writeFile(path, damage(bytes) ?? bytes);
    expect(await open().read(key('a'))).toBeNull();
    expect(existsSync(path)).toBe(false);
    await put(open(), 'a');
    expect(await open().read(key('a'))).not.toBeNull();
  });

  it('takes the same graph from many writers at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => put(open(), 'a')));
    expect((await open().read(key('a')))?.facts).toEqual(FACTS);
    expect(await readdir(folder)).toEqual(['inputs-a.graph']);
  });

  it('stays below its limit, and keeps what was just used', async () => {
    const cache = open(5000);
    const model = new Uint8Array(2000); // and less than 300 bytes of facts
    for (const digest of ['a', 'b']) {
      await put(cache, digest, model);
      await utimes(join(folder, `inputs-${digest}.graph`), 1, 1);
    }
    await cache.read(key('a'));
    await put(cache, 'c', model);
    expect((await readdir(folder)).sort()).toEqual(['inputs-a.graph', 'inputs-c.graph']);
  });

  it('without a writable folder gives nothing, and reports it once', async () => {
    await writeFile(join(base, 'a-file'), '');
    const cache = open(undefined, join(base, 'a-file', 'graphs'));
    expect(await cache.read(key('a'))).toBeNull();
    expect(await cache.reserve()).toBeNull();
    expect(await cache.reserve()).toBeNull();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'warn', error: { code: 'ENOTDIR' } });
  });
});

describe('chooseEvictions', () => {
  const file = (name: string, ageMinutes: number, sizeBytes = 40) => ({
    name,
    sizeBytes,
    usedAtMs: 1e9 - ageMinutes * MINUTE_MS,
  });

  it('removes what was used longest ago', () => {
    const files = [file('inputs-a.graph', 3), file('inputs-b.graph', 1), file('inputs-c.graph', 2)];
    expect(chooseEvictions(files, 120, 1e9)).toEqual([]);
    expect(chooseEvictions(files, 100, 1e9)).toEqual(['inputs-a.graph']);
  });

  it('lets graphs with values built in take half at most, newer ones first', () => {
    const files = [
      file('inputs-a.graph', 9),
      file('values-1.graph', 3),
      file('values-2.graph', 2),
      file('values-3.graph', 1),
    ];
    expect(chooseEvictions(files, 160, 1e9)).toEqual(['values-1.graph']);
  });

  it('removes temporary files after an hour, and nobody else’s files', () => {
    const files = [file('a.tmp', 61), file('b.tmp', 59), file('notes.txt', 9999, 1e6)];
    expect(chooseEvictions(files, 10, 1e9)).toEqual(['a.tmp']);
  });
});

describe('graphKey', () => {
  const input = { name: 'in:x', shape: [2], dtype: 'float32' } as const;
  const constant = { ...input, name: 'in:w', constant: Float32Array.of(1, 2) };
  const program = { identity: 'f[1]', inputs: [input, constant] };
  const digestOf = (changed: Partial<typeof program>, runtime = 'r 1', threads = 1) =>
    graphKey({ ...program, ...changed }, runtime, threads)!.digest;

  it('is the same for the same, and another for whatever differs', () => {
    const others = [
      digestOf({ identity: 'f[2]' }),
      digestOf({ inputs: [{ ...input, shape: [1, 2] as never }, constant] }),
      digestOf({ inputs: [input, { ...constant, constant: Float32Array.of(1, 3) }] }),
      digestOf({ inputs: [constant, input] as never }),
      digestOf({}, 'r 2'),
      digestOf({}, 'r 1', 2),
    ];
    expect(digestOf({})).toBe(digestOf({}));
    expect(new Set([digestOf({}), ...others]).size).toBe(7);
  });

  it('says whether values are built in, and has none for an anonymous function', () => {
    expect(graphKey(program, 'r', 1)?.holdsValues).toBe(true);
    expect(graphKey({ ...program, inputs: [input] }, 'r', 1)?.holdsValues).toBe(false);
    expect(graphKey({ ...program, identity: null }, 'r', 1)).toBeNull();
  });
});
