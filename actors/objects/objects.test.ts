import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { silentLog } from '../../common/log.ts';
import { NodeObjects } from './node-objects.ts';
import { sha256Hex } from '../testing/sha256.ts';
import type { ObjectRef } from './object-ref.ts';
import { ObjectStore, type PutOptions } from './objects.ts';
import { objectService } from '../proto/runtime-services.ts';
import { ServingProcess } from '../serving/serving-process.ts';
import { serviceCalls } from '../calls/transport.ts';

const MIB = 1024 * 1024;
const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface HostOptions {
  readonly capacityBytes?: number;
  readonly nowMs?: () => number;
  /** Between others and the node: takes the node's address, gives the one that others shall use. */
  readonly proxy?: (address: string) => Promise<string>;
}

/** A node as on a separate machine: server, store and folders. */
async function openHost(nodeId: string, options: HostOptions = {}) {
  const { capacityBytes = 64 * MIB, proxy, nowMs = Date.now } = options;
  const folder = await mkdtemp(join(tmpdir(), 'ballast-objects-'));
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  const { address: own, server, pool, dispatcher } = serving;
  const address = (await proxy?.(own)) ?? own;
  const registry = new Registry();
  const dirs = { memory: join(folder, 'memory'), spill: join(folder, 'spill') };
  const node = new NodeObjects({ nodeId, address, pool, registry, dirs, capacityBytes, nowMs });
  dispatcher.addService(objectService, node.handlers());
  server.expose(objectService);
  cleanUps.push(
    () => rm(folder, { recursive: true, force: true }),
    () => serving.stop(),
  );
  const metric = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
    const found = await registry.getSingleMetric(`ballast_object_${name}`)?.get();
    const matches = found?.values.filter((value) =>
      Object.entries(labels).every(
        ([key, label]) => (value.labels as Record<string, unknown>)[key] === label,
      ),
    );
    return matches?.reduce((sum, { value }) => sum + value, 0) ?? NaN;
  };
  /** The store as one process sees it; without a cache, so that every get goes to the node's files. */
  const openStore = (owner = 'a/1', cacheBytes = 0) =>
    new ObjectStore({ owner, nodeAddress: address, transport: pool, registry: new Registry(), cacheBytes });
  const files = () => readdirSync(node.folder).filter((name) => name.startsWith(`${nodeId}.`));
  const list = async () => (await serviceCalls(objectService, pool, own).listObjects({})).objects;
  const hold = (holder: string, { id, holders }: ObjectRef, leaseMs = 0) =>
    serviceCalls(objectService, pool, own).hold({
      ...{ holder, leaseMs },
      held: [{ id, origin: holders[0]!, transit: '' }],
    });
  const digest = (id: string) => serviceCalls(objectService, pool, own).digest({ id });
  return { node, address, server, dirs, metric, openStore, files, list, digest, hold, store: openStore() };
}

function pattern(length: number, seed = 31): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = index * seed;
  return bytes;
}

function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

describe('on one node', () => {
  it('one process reads an object that another put from its file', async () => {
    const host = await openHost('h');
    const bytes = pattern(MIB + 1);
    const ref = await host.store.put(bytes);
    const facts = { id: 'h/a/1/1-1', sizeBytes: MIB + 1, holders: [host.address] };
    expect(ref).toEqual({ ...facts, digest: '' });
    expectSame(await host.openStore('b/1').get(ref), bytes);
    const small = await host.store.put(pattern(10), { withDigest: true });
    expect(small.digest).toBe(sha256Hex(pattern(10)));
    expectSame(await host.openStore('b/1').get(small), pattern(10));
    const empty = await host.store.put(new Uint8Array(0), { owner: 'node' });
    expect(await host.openStore('b/1').get(empty)).toHaveLength(0);
    expect(await host.metric('transfer_bytes_total')).toBe(0);
    expect(await host.metric('store_objects', { kind: 'primary' })).toBe(3);
  });

  it('a small object rides in its reference: no store hears of it, and nothing has to be freed', async () => {
    const host = await openHost('h');
    const bytes = pattern(8 * 1024);
    const ref = await host.store.put(bytes);
    expect(ref).toMatchObject({ id: 'inline/a/1/1', sizeBytes: 8 * 1024, holders: [] });
    bytes[0] = 99; // the reference has its own copy
    await host.store.handOver([ref], 'node');
    await host.store.free([ref]);
    expectSame(await host.openStore('b/1').get(ref), pattern(8 * 1024));
    expect(await host.openStore('b/1').wait([ref])).toMatchObject({ ready: [ref] });
    expect(host.files()).toEqual([]);
    expect((await host.store.put(pattern(8 * 1024 + 1))).holders).toEqual([host.address]);
  });

  it('the reference of a small object is no text: JSON loses its bytes, unless the node owns them', async () => {
    const { store } = await openHost('h');
    const asText = async (options: PutOptions) =>
      JSON.parse(JSON.stringify(await store.put(pattern(10), options))) as ObjectRef;
    await expect(store.get(await asText({}))).rejects.toThrow(
      /^Object inline\/a\/1\/1: the bytes inside its reference did not survive JSON; .*`owner: 'node'`\.$/,
    );
    expectSame(await store.get(await asText({ owner: 'node' })), pattern(10));
  });

  it('lists what it holds: owner, reads in progress, holders; copies and spilled ones as such', async () => {
    const [origin, other] = [await openHost('h', { capacityBytes: 3 * MIB }), await openHost('o')];
    const ref = await origin.store.put(pattern(2 * MIB));
    await other.store.get(ref);
    const { id, digest, sizeBytes } = ref;
    const holders = [origin.address, other.address];
    const shared = { id, digest, sizeBytes, pins: 0, referrers: [] };
    await eventually(async () =>
      expect(await origin.list()).toEqual([
        { ...shared, kind: 'OBJECT_KIND_PRIMARY', owner: 'a/1', holders },
      ]),
    );
    expect(await other.list()).toEqual([
      { ...shared, kind: 'OBJECT_KIND_SECONDARY', owner: 'node', holders: [other.address] },
    ]);
    await origin.store.put(pattern(2 * MIB, 7)); // makes room for itself
    expect((await origin.list()).map(({ kind }) => kind)).toEqual([
      'OBJECT_KIND_SPILLED',
      'OBJECT_KIND_PRIMARY',
    ]);
  });

  it('a process gets back the object that it put or got lately, not a copy', async () => {
    const host = await openHost('h');
    const store = host.openStore('a/1', MIB);
    const bytes = pattern(10_000);
    const ref = await store.put(bytes);
    expect(await store.get(ref)).toBe(bytes);
    const other = host.openStore('b/1', MIB);
    const [first, second] = await Promise.all([other.get(ref), other.get(ref)]);
    expect(second).toBe(first);
    expect(await other.get(ref)).toBe(first);
  });

  it('frees: the file is gone, and a get reports it', async () => {
    const host = await openHost('h');
    const ref = await host.store.put(pattern(MIB));
    await host.openStore('b/1').free([ref]);
    await host.store.free([{ ...ref, holders: ['127.0.0.1:1'] }]); // that node is gone, and so is the object
    expect(host.files()).toEqual([]);
    await expect(host.store.get(ref)).rejects.toMatchObject({ name: 'ObjectError', code: 'NOT_FOUND' });
    await expect(host.store.get(ref)).rejects.toThrow(
      `Object ${ref.id}: it was freed, or its owner has ended`,
    );
  });

  it('refuses references that differ from the object, and ids that are paths', async () => {
    const host = await openHost('h');
    const ref = await host.store.put(pattern(10_000));
    const digested = await host.store.put(pattern(10), { withDigest: true });
    for (const { id, sizeBytes, holders } of [ref, digested]) {
      const forged = host.store.get({ id, sizeBytes, holders, digest: '0'.repeat(64) });
      await expect(forged).rejects.toMatchObject({ code: 'DATA_LOSS', objectId: id });
    }
    await expect(host.store.get({ ...digested, digest: '' })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(host.store.get({ ...ref, sizeBytes: 9 })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(host.store.get({ ...ref, id: '../../etc' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('moves to disk what does not fit in memory, and reads it from there', async () => {
    const host = await openHost('h', { capacityBytes: 3 * MIB });
    const refs = [];
    for (const seed of [1, 3, 5, 7]) refs.push(await host.store.put(pattern(MIB, seed)));
    expect(await host.metric('spills_total')).toBe(1);
    expect(host.files()).toHaveLength(3);
    for (const [index, seed] of [1, 3, 5, 7].entries()) {
      expectSame(await host.openStore('b/1').get(refs[index]!), pattern(MIB, seed));
    }
    await host.store.free(refs);
    expect(readdirSync(host.dirs.spill).flatMap((name) => readdirSync(join(host.dirs.spill, name)))).toEqual([
      'owner.json',
    ]);
    expect(await host.metric('store_bytes', { kind: 'spilled' })).toBe(0);
  });

  it('refuses what fits nowhere, and loses nothing', async () => {
    const host = await openHost('h', { capacityBytes: 2 * MIB });
    await expect(host.store.put(pattern(2 * MIB + 1))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(host.store.put(pattern(2 * MIB + 1))).rejects.toThrow(
      `${2 * MIB + 1} bytes do not fit: 0 of ${2 * MIB} bytes are used`,
    );
    expect(await host.store.put(pattern(2 * MIB))).toMatchObject({ sizeBytes: 2 * MIB });
  });
});

describe('owners', () => {
  it('take what they put with them, but not what belongs to the node or was handed on', async () => {
    const host = await openHost('h');
    const store = host.openStore('a/1');
    const own = await store.put(pattern(10_000, 1));
    const kept = await store.put(pattern(10_000, 3), { owner: 'node' });
    const given = await store.put(pattern(10_000, 5));
    await store.handOver([given], 'b/1');
    await host.node.ownerEnded('a/1');
    const reader = host.openStore('c/1');
    await expect(reader.get(own)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expectSame(await reader.get(kept), pattern(10_000, 3));
    expectSame(await reader.get(given), pattern(10_000, 5));
    await expect(store.put(pattern(10_000))).rejects.toThrow('its owner a/1 has ended');
    await expect(store.handOver([kept], 'a/1')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await host.node.ownerEnded('b/1');
    expect(host.files()).toHaveLength(1);
  });
});

describe('references', () => {
  const counted = { owner: 'references', isStored: true } as const;

  it('hold an object when its maker has ended, until the last holder has', async () => {
    const host = await openHost('h');
    const ref = await host.store.put(pattern(10), counted);
    await host.hold('b/1', ref);
    expect(await host.list()).toMatchObject([{ owner: 'references', referrers: ['a/1', 'b/1'] }]);
    await host.node.ownerEnded('a/1');
    expectSame(await host.openStore('b/1').get(ref), pattern(10));
    await host.node.ownerEnded('b/1');
    expect(host.files()).toEqual([]);
    await host.hold('a/1', ref); // too late: ended processes hold nothing
    expect(await host.list()).toEqual([]);
  });

  it('of an actor that starts again stay for a while, and those of an answer until it is overdue', async () => {
    let nowMs = 1000;
    const host = await openHost('h', { nowMs: () => nowMs });
    const [first, second] = [
      await host.store.put(pattern(10), counted),
      await host.store.put(pattern(10), counted),
    ];
    await host.hold('transit/a/1/1', second, 600_000);
    await host.node.ownerEnded('a/1', 20_000);
    nowMs += 34_999;
    await host.node.expireHolds();
    expect(host.files()).toHaveLength(2);
    await host.hold('a/2', first);
    nowMs += 1;
    await host.node.expireHolds();
    expect((await host.list()).map(({ referrers }) => referrers)).toEqual([['a/2'], ['transit/a/1/1']]);
    nowMs += 600_000;
    await host.node.expireHolds();
    expect((await host.list()).map(({ id }) => id)).toEqual([first.id]);
  });

  it('of processes elsewhere are held by their node, as long as it renews them', async () => {
    let nowMs = 1000;
    const options = { nowMs: () => nowMs };
    const [origin, other] = [await openHost('o', options), await openHost('r', options)];
    const [first, second] = [
      await origin.store.put(pattern(10), counted),
      await origin.store.put(pattern(10), counted),
    ];
    for (const ref of [first, second]) await other.hold('x/1', ref);
    await other.hold('y/1', first);
    await origin.node.ownerEnded('a/1');
    const left = async () => (await origin.list()).map(({ id, referrers }) => [id, referrers]);
    expect(await left()).toEqual([
      [first.id, [other.address]],
      [second.id, [other.address]],
    ]);
    await other.node.ownerEnded('x/1');
    await eventually(async () => expect(await left()).toEqual([[first.id, [other.address]]]));
    nowMs += 30_000;
    await other.node.expireHolds(); // renews, too
    nowMs += 40_000;
    await origin.node.expireHolds();
    expect(await left()).toHaveLength(1);
    nowMs += 20_000; // the other node says nothing any more
    await origin.node.expireHolds();
    expect(await left()).toEqual([]);
  });
});

describe('between nodes', () => {
  it('an object is pulled once for all processes, kept, and given on', async () => {
    const [origin, receiver, third] = [await openHost('o'), await openHost('r'), await openHost('t')];
    const bytes = pattern(3 * MIB);
    const ref = await origin.store.put(bytes);
    const [one, two] = await Promise.all([
      receiver.openStore('x/1').get(ref),
      receiver.openStore('y/1').get(ref),
    ]);
    expectSame(one, bytes);
    expectSame(two, bytes);
    expectSame(await receiver.store.get(ref), bytes);
    expect(await origin.metric('transfer_bytes_total', { direction: 'sent' })).toBe(3 * MIB);
    expect(await receiver.metric('store_bytes', { kind: 'secondary' })).toBe(3 * MIB);
    expectSame(await third.store.get({ ...ref, holders: ['127.0.0.1:1', receiver.address] }), bytes);
    expect(await receiver.metric('transfer_bytes_total', { direction: 'sent' })).toBe(3 * MIB);
  });

  it('the SHA-256 of an object is made once, when it first leaves its machine', async () => {
    const [origin, one, two] = [await openHost('o'), await openHost('r'), await openHost('t')];
    const ref = await origin.store.put(pattern(MIB));
    expectSame(await one.store.get(ref), pattern(MIB));
    // The origin cannot be asked any more: the first receiver says what it has checked.
    expectSame(await two.store.get({ ...ref, holders: ['127.0.0.1:1', one.address] }), pattern(MIB));
    const digest = sha256Hex(pattern(MIB));
    for (const host of [origin, one, two]) expect(await host.digest(ref.id)).toEqual({ digest });
  });

  it('is freed everywhere from anywhere', async () => {
    const [origin, receiver] = [await openHost('o'), await openHost('r')];
    const ref = await origin.store.put(pattern(MIB));
    await receiver.store.get(ref);
    await eventually(async () => {
      await receiver.store.free([ref]);
      expect(await receiver.metric('store_objects', { kind: 'secondary' })).toBe(0);
    });
    expect(origin.files()).toEqual([]);
    await expect(receiver.store.get(ref)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(receiver.store.get(ref)).rejects.toThrow(`its origin ${origin.address} answered`);
  });

  it('more than two receivers at once get most of it from each other', async () => {
    const origin = await openHost('o');
    const receivers = await Promise.all(Array.from({ length: 6 }, (_, index) => openHost(`r${index}`)));
    const bytes = pattern(8 * MIB);
    const ref = await origin.store.put(bytes);
    const results = await Promise.all(receivers.map((receiver) => receiver.store.get(ref)));
    for (const result of results) expectSame(result, bytes);
    const sent = await origin.metric('transfer_bytes_total', { direction: 'sent' });
    expect(sent).toBeLessThanOrEqual(3 * 8 * MIB);
  });

  it('goes on where a cut connection left off', async () => {
    const origin = await openHost('o', { proxy: (address) => openCuttingProxy(address, 3 * MIB) });
    const receiver = await openHost('r');
    const bytes = pattern(8 * MIB);
    const ref = await origin.store.put(bytes);
    expectSame(await receiver.store.get(ref), bytes);
    expect(await receiver.metric('transfer_failures_total', { code: 'UNAVAILABLE' })).toBe(1);
    const sent = await origin.metric('transfer_bytes_total', { direction: 'sent' });
    expect(sent).toBeLessThan(16 * MIB); // what was in flight was sent twice, the rest once
  });

  it('drops copies to make room, the least recently used first', async () => {
    const [origin, receiver] = [await openHost('o'), await openHost('r', { capacityBytes: 2 * MIB })];
    const [a, b, c] = [
      await origin.store.put(pattern(MIB, 1)),
      await origin.store.put(pattern(MIB, 3)),
      await origin.store.put(pattern(MIB, 5)),
    ];
    const held = () =>
      readdirSync(receiver.node.folder)
        .filter((name) => name.startsWith('o.'))
        .map((name) => name.split('.')[3]);
    for (const ref of [a, b, a, c]) {
      await receiver.store.get(ref);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(held().sort()).toEqual(['1-1', '1-3']);
    expect(await receiver.metric('evictions_total')).toBe(1);
    expectSame(await receiver.store.get(b), pattern(MIB, 3));
  });

  it('lets one who waits give up without ending the pull of another', async () => {
    const [origin, receiver] = [await openHost('o'), await openHost('r')];
    const ref = await origin.store.put(pattern(4 * MIB));
    const controller = new AbortController();
    const given = receiver.store.get(ref, { signal: controller.signal });
    const kept = receiver.openStore('k/1').get(ref);
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    expect(await kept).toHaveLength(4 * MIB);
    const late = receiver.store.get({ ...ref, id: 'o/x' }, { deadlineMs: 0 });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('wait brings objects without handing them out', async () => {
    const [origin, receiver] = [await openHost('o'), await openHost('r')];
    const put = (seed: number) => origin.store.put(pattern(10, seed), { withDigest: true });
    const [a, b] = [await put(1), await put(3)];
    await origin.store.free([b]);
    const { ready, failed, pending } = await receiver.store.wait([a, b]);
    expect([ready, pending]).toEqual([[a], []]);
    expect(failed).toMatchObject([{ ref: b, reason: { code: 'NOT_FOUND' } }]);
    expect(existsSync(join(receiver.node.folder, `o.a.1.1-1.${a.digest}`))).toBe(true);
  });
});

/** Forwards bytes, and cuts its first connection after this many bytes from the server. */
async function openCuttingProxy(address: string, cutAfterBytes: number): Promise<string> {
  const [host, port] = address.split(':');
  let isCut = false;
  const proxy = createServer((client) => {
    const server = connect(Number(port), host);
    const end = () => {
      client.destroy();
      server.destroy();
    };
    let passed = 0;
    client.on('error', end).on('close', end).pipe(server);
    server.on('error', end).on('close', end).pipe(client);
    server.on('data', (data: Buffer) => {
      passed += data.byteLength;
      if (isCut || passed < cutAfterBytes) return;
      isCut = true;
      end();
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => void proxy.close());
  return `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}
