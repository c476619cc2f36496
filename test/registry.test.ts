// One behaviour for every registry: embedded, embedded through gRPC, and NATS JetStream on a real server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  Announcer,
  ChannelPool,
  createRegistry,
  EmbeddedStore,
  openEmbeddedRegistry,
  openNatsRegistry,
  registryHandlers,
  remoteRegistry,
  silentLog,
} from '../actors/index.ts';
import type { Registry, RegistryChange, RegistryEntry, RegistryOptions } from '../actors/index.ts';
import { NatsLink } from '../actors/control/nats-connection.ts';
import { canMark, NatsBuckets } from '../actors/control/registry-nats-buckets.ts';
import { registryService } from '../actors/proto/runtime-services.ts';
import { ServingProcess } from '../actors/serving/serving-process.ts';
import { packageRoot } from '../common/package-root.ts';
import { hasNats, noNats, natsVersion, startNats, type NatsServer } from './support/nats.ts';

const TTL_MS = 1500;
const PATIENCE_MS = 180_000;

let folder: string;
let nats: NatsServer | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-registry-'));
  if (hasNats) nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
});

afterAll(async () => {
  await nats?.stop();
  await rm(folder, { recursive: true });
});

/** Asks until the answer is not null. */
async function until<T>(what: string, ask: () => Promise<T | null> | T | null): Promise<T> {
  for (const endMs = performance.now() + PATIENCE_MS; performance.now() < endMs;) {
    const answer = await ask();
    if (answer !== null) return answer;
    await delay(10);
  }
  throw new Error(`timed out waiting for ${what}`);
}

/** Messages of a watch, in order: `put a/b 1`, `expired a/b`, `synced`. */
class Watched {
  readonly told: string[] = [];
  readonly entries: RegistryEntry[] = [];
  readonly #controller = new AbortController();
  readonly #ended: Promise<void>;

  constructor(registry: Registry, prefix: string) {
    this.#ended = this.#read(registry.watch(prefix, this.#controller.signal));
  }

  async #read(changes: AsyncIterable<RegistryChange>): Promise<void> {
    for await (const change of changes) {
      if (change.type === 'put') this.entries.push(change.entry);
      this.told.push(
        change.type === 'put'
          ? `put ${change.entry.key} ${JSON.stringify(change.entry.value.n)}`
          : change.type === 'synced'
            ? 'synced'
            : `${change.type} ${change.key}`,
      );
    }
  }

  /** Resolves when exactly this has been reported since the last call. */
  async tells(...expected: string[]): Promise<void> {
    await until(`${expected.join(', ')} after ${this.told.join(', ')}`, () =>
      this.told.length >= expected.length ? true : null,
    ).catch(() => undefined);
    expect(this.told.splice(0)).toEqual(expected);
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.#ended;
  }
}

/** Opens one more client of the same registry, named by `cluster`. */
type Open = (cluster: string, options?: RegistryOptions) => Promise<Registry>;

const stores = new Map<string, EmbeddedStore>();
const storeOf = (cluster: string) => {
  const store = stores.get(cluster) ?? new EmbeddedStore();
  stores.set(cluster, store);
  return store;
};

/** The store outlives its clients here, as the process that serves it would. */
const openEmbedded: Open = (cluster, options) => {
  const store = storeOf(cluster);
  const shared = new Proxy(store, {
    get: (target, name: keyof EmbeddedStore) =>
      name === 'close' ? () => Promise.resolve() : target[name].bind(target),
  });
  return Promise.resolve(openEmbeddedRegistry({ ...options, store: shared }));
};

const openThroughGrpc: Open = async (cluster, options) => {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  serving.dispatcher.addService(registryService, registryHandlers(storeOf(cluster)));
  const pool = new ChannelPool();
  const registry = remoteRegistry(pool, serving.address, options);
  const closeRegistry = registry.close.bind(registry);
  registry.close = async () => {
    await closeRegistry();
    pool.close();
    await serving.stop();
  };
  return registry;
};

const openNats: Open = (cluster, options) => openNatsRegistry({ url: nats?.url ?? '', cluster, ...options });

const implementations: readonly [name: string, skip: boolean, open: Open][] = [
  ['embedded', false, openEmbedded],
  ['embedded, through gRPC', false, openThroughGrpc],
  [`nats${noNats}`, !hasNats, openNats],
];

describe.each(implementations)('registry: %s', (name, skip, open) => {
  let clusters = 0;
  const opened: { close(): Promise<void> }[] = [];
  const openOne = async (cluster: string, options?: RegistryOptions) => {
    const registry = await open(cluster, options);
    opened.push(registry);
    return registry;
  };
  const newCluster = () => `${name.replaceAll(/\W/g, '')}-${++clusters}`;
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
  });

  it.skipIf(skip)('writes, reads, lists by prefix and removes', async () => {
    const registry = await openOne(newCluster());
    expect(await registry.get('nodes/a')).toBeNull();
    const first = await registry.put('nodes/a.b', { n: 1 });
    const second = await registry.put('nodes/a/gpu-0', { n: { deep: ['x', null] } });
    await registry.put('nodes2/a', { n: 3 });
    expect(second).toBeGreaterThan(first);
    expect(await registry.list('nodes/')).toEqual([
      { key: 'nodes/a.b', value: { n: 1 }, revision: first, leaseId: null },
      { key: 'nodes/a/gpu-0', value: { n: { deep: ['x', null] } }, revision: second, leaseId: null },
    ]);
    expect(await registry.list('')).toHaveLength(3);
    await registry.remove('nodes/a.b');
    await registry.remove('nodes/a.b');
    expect(await registry.get('nodes/a.b')).toBeNull();
    expect((await registry.list('nodes/')).map(({ key }) => key)).toEqual(['nodes/a/gpu-0']);
  });

  it.skipIf(skip)('compares and sets', async () => {
    const registry = await openOne(newCluster());
    const first = await registry.create('k', { n: 1 });
    await expect(registry.create('k', { n: 2 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const second = await registry.update('k', { n: 2 }, first);
    await expect(registry.update('k', { n: 3 }, first)).rejects.toMatchObject({
      code: 'ABORTED',
      currentRevision: second,
    });
    await expect(registry.remove('k', { revision: first })).rejects.toMatchObject({
      code: 'ABORTED',
      currentRevision: second,
    });
    expect(await registry.get('k')).toMatchObject({ value: { n: 2 }, revision: second });
    await registry.remove('k', { revision: second });
    await expect(registry.update('k', { n: 4 }, second)).rejects.toMatchObject({ currentRevision: 0 });
    expect(await registry.create('k', { n: 5 })).toBeGreaterThan(second);
  });

  it.skipIf(skip)('lets exactly one of many simultaneous writers win', async () => {
    const cluster = newCluster();
    const [one, two] = [await openOne(cluster), await openOne(cluster)];
    const creations = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : two).create('k', { n }));
    const created = (await Promise.allSettled(creations)).filter(({ status }) => status === 'fulfilled');
    expect(created).toHaveLength(1);
    for (let round = 0; round < 3; round++) {
      const { revision } = (await one.get('k'))!;
      const updates = [one, two, one, two].map((registry) => registry.update('k', { round }, revision));
      const done = (await Promise.allSettled(updates)).filter(({ status }) => status === 'fulfilled');
      expect(done).toHaveLength(1);
    }
  });

  it.skipIf(skip)('refuses what is no key, prefix, object or lease', async () => {
    const registry = await openOne(newCluster());
    for (const key of ['', '/a', 'a/', 'a//b', 'a b', 'a*', 'ä', '>'])
      await expect(registry.get(key)).rejects.toMatchObject({ name: 'UserError' });
    await expect(registry.list('nodes')).rejects.toThrow("end it with '/'");
    expect(() => registry.watch('a', new AbortController().signal)).toThrow("end it with '/'");
    await expect(registry.put('k', [] as never)).rejects.toThrow('JSON object');
    await expect(registry.put('k', { text: 'x'.repeat(70_000) })).rejects.toThrow('at most 65536');
    await expect(registry.grantLease({ name: 'l', ttlMs: 10 })).rejects.toThrow('from 500');
  });

  it.skipIf(skip)('keeps a lease alive, and with it its entries', async () => {
    const cluster = newCluster();
    const [holder, reader] = [await openOne(cluster), await openOne(cluster)];
    const lease = await holder.grantLease({ name: 'node/a', ttlMs: TTL_MS });
    await holder.create('nodes/a', { n: 1 }, { lease });
    await delay(2.5 * TTL_MS);
    expect(lease.lost.aborted).toBe(false);
    expect(await reader.get('nodes/a')).toMatchObject({ value: { n: 1 }, leaseId: lease.id });
    await lease.release();
    await lease.release();
    expect(await reader.get('nodes/a')).toBeNull();
    expect(lease.lost.aborted).toBe(true);
    await expect(holder.put('nodes/a', { n: 2 }, { lease })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });

  it.skipIf(skip)(
    'tells watchers what is there, what changes, and what a holder that vanished leaves',
    async () => {
      const cluster = newCluster();
      const [holder, reader] = [await openOne(cluster), await openOne(cluster)];
      const clock = stoppableClock();
      const dying = await openOne(cluster, { clock });
      await holder.put('nodes/a', { n: 1 });
      await holder.put('other', { n: 0 });
      const lease = await dying.grantLease({ name: 'node/b', ttlMs: TTL_MS });
      await dying.put('nodes/b', { n: 2 }, { lease });
      const watched = new Watched(reader, 'nodes/');
      opened.push({ close: () => watched.stop() });
      await watched.tells('put nodes/a 1', 'put nodes/b 2', 'synced');
      await holder.put('nodes/a', { n: 3 });
      await watched.tells('put nodes/a 3');
      await holder.remove('nodes/a');
      await watched.tells('removed nodes/a');
      const polite = await holder.grantLease({ name: 'node/c', ttlMs: TTL_MS });
      await holder.put('nodes/c', { n: 4 }, { lease: polite });
      await watched.tells('put nodes/c 4');
      await polite.release();
      await watched.tells('removed nodes/c');
      clock.stop();
      await watched.tells('expired nodes/b');
      expect(await reader.get('nodes/b')).toBeNull();
      expect(await reader.list('')).toMatchObject([{ key: 'other' }]);
      await holder.create('nodes/b', { n: 5 });
      await watched.tells('put nodes/b 5');
    },
  );

  it.skipIf(skip)('refuses the writes of a holder that was stopped for longer than its lease', async () => {
    const cluster = newCluster();
    const clock = stoppableClock();
    const [sleeper, successor] = [await openOne(cluster, { clock }), await openOne(cluster)];
    const lease = await sleeper.grantLease({ name: 'trainer', ttlMs: TTL_MS });
    await sleeper.put('trainer', { n: 1 }, { lease });
    clock.stop();
    await until('the end of the lease', async () =>
      (await successor.get('trainer')) === null ? true : null,
    );
    const next = await successor.grantLease({ name: 'trainer', ttlMs: TTL_MS });
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
    await successor.create('trainer', { n: 2 }, { lease: next });
    // Its own clock has not moved: only the registry knows, and refuses.
    for (const write of [
      () => sleeper.put('trainer', { n: 3 }, { lease }),
      () => sleeper.create('another', { n: 3 }, { lease }),
    ])
      await expect(write()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    clock.wake(2 * TTL_MS);
    expect(lease.lost.aborted).toBe(true);
    expect(await successor.get('trainer')).toMatchObject({ value: { n: 2 }, leaseId: next.id });
    expect(await successor.get('another')).toBeNull();
  });

  it.skipIf(skip)('gives a key of one name to its later lease', async () => {
    const registry = await openOne(newCluster());
    const first = await registry.grantLease({ name: 'actor/x', ttlMs: 5000 });
    await registry.put('actors/x', { n: 1 }, { lease: first });
    const second = await registry.grantLease({ name: 'actor/x', ttlMs: 5000 });
    await registry.put('actors/x', { n: 2 }, { lease: second });
    await expect(registry.put('actors/x', { n: 3 }, { lease: first })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await first.release();
    expect(await registry.get('actors/x')).toMatchObject({ value: { n: 2 } });
  });

  it.skipIf(skip)('counts operations and leases', async () => {
    const metrics = createRegistry();
    const registry = await openOne(newCluster(), { metrics });
    const lease = await registry.grantLease({ name: 'l', ttlMs: 5000 });
    await registry.create('k', {}, { lease });
    await expect(registry.create('k', {})).rejects.toThrow();
    const before = await metrics.metrics();
    expect(before).toContain('ballast_leases_held 1');
    expect(before).toContain('ballast_registry_operations_total{kind="create",code="OK"} 1');
    expect(before).toContain('ballast_registry_operations_total{kind="create",code="ALREADY_EXISTS"} 1');
    expect(before).toContain('ballast_registry_operation_seconds_count{kind="create"} 2');
    await lease.release();
    const after = await metrics.metrics();
    expect(after).toContain('ballast_leases_held 0');
    expect(after).toContain('ballast_lease_losses_total 0');
  });

  it.skipIf(skip)('closing releases leases, ends watches and refuses operations', async () => {
    const cluster = newCluster();
    const [closing, reader] = [await open(cluster), await openOne(cluster)];
    const lease = await closing.grantLease({ name: 'l', ttlMs: 5000 });
    await closing.put('k', {}, { lease });
    const watched = new Watched(closing, '');
    await watched.tells('put k undefined', 'synced');
    await closing.close();
    await watched.stop();
    expect(lease.lost.aborted).toBe(true);
    expect(await reader.get('k')).toBeNull();
    await expect(closing.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

/** Tells what an announcer tells, and waits for it. */
function announced(registry: Registry, name: string, ttlMs = TTL_MS) {
  const told: string[] = [];
  const announcer = new Announcer({
    registry,
    name,
    ttlMs,
    onLost: () => told.push('lost'),
    onRestored: () => told.push('restored'),
    onReplaced: (key) => told.push(`replaced ${key}`),
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return { announcer, told, settle: () => announcer.announced(signal) };
}

describe.skipIf(!hasNats)(`a registry whose NATS server goes and comes back${noNats}`, () => {
  let server: NatsServer;
  let registry: Registry;
  let reader: Registry;
  const cluster = 'outages';

  beforeAll(async () => {
    server = await startNats(['-js', '-sd', join(folder, 'outages')]);
    registry = await openNatsRegistry({ url: server.url, cluster });
    reader = await openNatsRegistry({ url: server.url, cluster, deadlineMs: 500 });
  });
  afterAll(async () => {
    await registry.close();
    await reader.close();
    await server.stop();
  });

  it('fails within the deadline while the server is paused or stopped, and works afterwards', async () => {
    await registry.put('k', { n: 1 });
    for (const [away, back] of [
      [() => server.pause(), () => server.resume()],
      [() => server.stop('SIGKILL'), () => server.restart()],
    ] as const) {
      await away();
      const startMs = performance.now();
      const operations = [
        reader.get('k'),
        reader.put('other', {}),
        reader.list(''),
        reader.create('new', {}),
      ];
      for (const end of await Promise.allSettled(operations))
        expect(end).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
      expect(performance.now() - startMs).toBeLessThan(5000); // which it would wait by default
      await back();
      const entry = await until('the registry', () => reader.get('k').catch(() => null));
      expect(entry.value).toEqual({ n: 1 });
    }
  });

  it('a short stop loses no lease; a watch reports each change once', async () => {
    const { announcer, told, settle } = announced(registry, 'steady', 5000);
    announcer.set('nodes/steady', { n: 1 });
    await settle();
    await registry.put('nodes/z', { n: 2 });
    const watched = new Watched(reader, 'nodes/');
    await watched.tells('put nodes/steady 1', 'put nodes/z 2', 'synced');
    await server.stop('SIGTERM');
    await server.restart();
    await until('the registry', () => registry.put('nodes/z', { n: 3 }).catch(() => null));
    await watched.tells('put nodes/z 3');
    await registry.remove('nodes/z');
    await watched.tells('removed nodes/z');
    expect(told).toEqual([]);
    await announcer.close();
    await watched.tells('removed nodes/steady');
    await watched.stop();
  });

  it('everything lost: announced again under a larger token, watched as newer, old revisions refused', async () => {
    const { announcer, told, settle } = announced(registry, 'phoenix');
    announcer.set('nodes/phoenix', { n: 1 });
    await settle();
    const oldLease = announcer.lease!;
    const oldRevision = await registry.put('plain', { n: 1 });
    const watched = new Watched(reader, 'nodes/');
    await watched.tells('put nodes/phoenix 1', 'synced');
    await server.stop('SIGKILL');
    await server.restart({ empty: true });
    await until('the loss', () => (told.includes('restored') ? true : null));
    expect(told).toEqual(['lost', 'restored']);
    expect(oldLease.lost.aborted).toBe(true);
    expect(announcer.lease!.fencingToken).toBeGreaterThan(oldLease.fencingToken);
    await until('the watch', () => (watched.entries.length === 2 ? true : null));
    expect(watched.told.at(-1)).toBe('put nodes/phoenix 1');
    expect(watched.entries[1]!.revision).toBeGreaterThan(watched.entries[0]!.revision);
    await expect(registry.update('plain', {}, oldRevision)).rejects.toMatchObject({ currentRevision: 0 });
    expect(await registry.create('plain', {})).toBeGreaterThan(oldRevision);
    await watched.stop();
    await announcer.close();
  });

  it('paused for longer than the lease: lost in time, and announced again', async () => {
    const { announcer, told, settle } = announced(registry, 'patient');
    announcer.set('nodes/patient', { n: 1 });
    await settle();
    const { lost, fencingToken } = announcer.lease!;
    server.pause();
    await until('the loss', () => (lost.aborted ? true : null));
    expect(told).toEqual(['lost']);
    await delay(TTL_MS);
    server.resume();
    await until('the return', () => (told.includes('restored') ? true : null));
    expect(announcer.lease!.fencingToken).toBeGreaterThan(fencingToken);
    expect(await reader.get('nodes/patient')).toMatchObject({ leaseId: announcer.lease!.id });
    await announcer.close();
  });

  it('a holder stopped by SIGSTOP wakes to a lost lease, and its write is refused', async () => {
    const index = join(packageRoot(), 'dist', 'actors', 'index.js');
    const script = join(packageRoot(), 'test', 'fixtures', 'lease-holder.mjs');
    const holder = spawn(process.execPath, [script, index, server.url, cluster, String(TTL_MS)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const answers = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
    const answer = async () => JSON.parse((await answers.next()).value as string) as Record<string, unknown>;
    const { fencingToken } = await answer();
    holder.stdin.write('?\n');
    expect(await answer()).toEqual({ isLost: false, toldBy: '', code: 'OK' });
    holder.kill('SIGSTOP');
    const watched = new Watched(reader, '');
    await until('the expiry', async () => ((await registry.get('holder')) === null ? true : null));
    const successor = await registry.grantLease({ name: 'holder', ttlMs: TTL_MS });
    expect(successor.fencingToken).toBeGreaterThan(Number(fencingToken));
    await registry.create('holder', { pid: 1 }, { lease: successor });
    holder.stdin.write('?\n'); // waits in the pipe: it is read before any timer runs
    holder.kill('SIGCONT');
    expect(await answer()).toMatchObject({ isLost: true, toldBy: 'signal', code: 'FAILED_PRECONDITION' });
    expect(await registry.get('holder')).toMatchObject({ value: { pid: 1 } });
    const ended = once(holder, 'exit');
    holder.stdin.end();
    expect(await ended).toEqual([0, null]);
    await successor.release();
    await watched.stop();
  });
});

const hasMarkers = natsVersion !== null && canMark(natsVersion);
const whyNoMarkers = hasMarkers ? '' : ` (skipped: takes 2.11, this is ${natsVersion ?? 'none'})`;

it.skipIf(!hasMarkers)(`a NATS server announces the end of a lease${whyNoMarkers}`, async () => {
  const link = await NatsLink.connect({ url: nats!.url });
  const buckets = new NatsBuckets(link, { cluster: 'marked' });
  const lease = { id: 'short', name: 'holder', ttlMs: TTL_MS, fencingToken: 1 };
  await buckets.writeLease(lease, 0);
  const ends = (await buckets.watchEnds(TTL_MS))!;
  const ended = await ends.iterate()[Symbol.asyncIterator]().next();
  expect(ended).toEqual({ done: false, value: 'short' });
  // The marker lies there now, and is no record.
  expect(await buckets.readLease(lease)).toBeNull();
  expect(await buckets.liveLeases(TTL_MS)).toEqual(new Set());
  ends.stop();
  await link.close();
});

describe('announcers', () => {
  it('a later announcer of a key takes it, and the earlier one leaves it when it comes back', async () => {
    const store = new EmbeddedStore();
    const clock = stoppableClock();
    const registry = openEmbeddedRegistry({ store });
    const first = announced(openEmbeddedRegistry({ store, clock }), 'actor/x');
    first.announcer.set('actors/x', { n: 1 });
    await first.settle();
    clock.stop();
    const second = announced(registry, 'actor/x');
    second.announcer.set('actors/x', { n: 2 });
    await second.settle();
    clock.wake(2 * TTL_MS);
    first.announcer.set('actors/own', { n: 3 });
    await until('the replacement', () => (first.told.includes('replaced actors/x') ? true : null));
    await first.settle();
    expect((await registry.list('')).map(({ key, value }) => [key, value.n])).toEqual([
      ['actors/own', 3],
      ['actors/x', 2],
    ]);
    second.announcer.unset('actors/x');
    await second.settle();
    expect(await registry.get('actors/x')).toBeNull();
    await first.announcer.close();
    await second.announcer.close();
    expect(await registry.list('')).toEqual([]);
    await registry.close();
  });

  it('the process that serves the registry ends: the next one, empty, is filled again', async () => {
    const serve = async () => {
      const server = await ServingProcess.start({ labels: {}, log: silentLog });
      server.dispatcher.addService(registryService, registryHandlers(new EmbeddedStore()));
      return { server, port: Number(server.address.split(':')[1]) };
    };
    let serving = await serve();
    const door = await forward(() => serving.port);
    const pool = new ChannelPool();
    const registry = remoteRegistry(pool, door.address, { deadlineMs: 500 });
    const { announcer, told, settle } = announced(registry, 'node/a');
    announcer.set('nodes/a', { n: 1 });
    await settle();
    const { fencingToken } = announcer.lease!;
    const watched = new Watched(registry, '');
    await watched.tells('put nodes/a 1', 'synced');
    await serving.server.stop();
    await expect(registry.get('nodes/a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await until('the loss', () => (told.includes('lost') ? true : null));
    serving = await serve();
    await until('the return', () => (told.includes('restored') ? true : null));
    expect(announcer.lease!.fencingToken).toBeGreaterThan(fencingToken);
    expect(await registry.get('nodes/a')).toMatchObject({ value: { n: 1 } });
    await until('the watch', () => (watched.entries.length === 2 ? true : null));
    await watched.stop();
    await announcer.close();
    await registry.close();
    pool.close();
    door.close();
    await serving.server.stop();
  });
});

/** An address on loopback that leads to the port of the moment. */
async function forward(port: () => number): Promise<{ readonly address: string; close(): void }> {
  const server = createServer((inner) => {
    const outer = createConnection(port(), '127.0.0.1');
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const)
      from
        .on('error', () => to.destroy())
        .on('close', () => to.destroy())
        .pipe(to);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, close: () => server.close() };
}

describe('a registry that cannot be opened', () => {
  it('is one clear line', async () => {
    const url = 'nats://me:secret@127.0.0.1:1';
    const opening = openNatsRegistry({ url, cluster: 'c' });
    await expect(opening).rejects.toThrow(/^Cannot reach NATS at 127.*nats-server -js/);
    await expect(opening).rejects.toThrow(/^(?!.*secret)/);
    await expect(openNatsRegistry({ url, cluster: 'a b' })).rejects.toMatchObject({ name: 'UserError' });
  });

  it.skipIf(!hasNats)(
    `is asked again when the server is late: silent, or gone before TLS was agreed${noNats}`,
    async () => {
      const info = { server_id: 's', version: '2.10.0', proto: 1, max_payload: 2 ** 20, tls_required: true };
      const sockets: Socket[] = [];
      const server = createServer((socket) => {
        const place = sockets.push(socket.on('error', () => undefined));
        if (place === 1) return;
        if (place > 2) {
          const to = createConnection(Number(new URL(nats!.url).port), '127.0.0.1');
          return void pipeline(
            socket,
            to.on('error', () => undefined),
            socket,
            () => undefined,
          );
        }
        socket.write(`INFO ${JSON.stringify(info)}\r\n`);
        socket.once('data', () => socket.destroy());
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const registry = await openNatsRegistry({ url: `nats://127.0.0.1:${port}`, cluster: 'late' });
      expect(await registry.list('')).toEqual([]);
      expect(sockets).toHaveLength(3);
      await registry.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  );

  it.skipIf(!hasNats)(`says that JetStream is off, or that a token is wanted${noNats}`, async () => {
    const plain = await startNats([]);
    await expect(openNatsRegistry({ url: plain.url, cluster: 'c' })).rejects.toThrow('nats-server -js');
    await plain.stop();
    const secured = await startNats(['-js', '-sd', join(folder, 'secured'), '--auth', 'open-sesame']);
    await expect(openNatsRegistry({ url: secured.url, cluster: 'c' })).rejects.toThrow('AUTHORIZATION');
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'open-sesame\n', { mode: 0o600 });
    const registry = await openNatsRegistry({ url: secured.url, cluster: 'c', tokenFile });
    expect(await registry.list('')).toEqual([]);
    await registry.close();
    await secured.stop();
  });
});

/** The clock of a process that can be stopped, as by SIGSTOP: no time passes for it, and no timer runs. */
function stoppableClock() {
  let stoppedAtMs: number | null = null;
  let sleptMs = 0;
  const timers = new Set<NodeJS.Timeout>();
  return {
    monotonicMs: () => (stoppedAtMs ?? performance.now()) + sleptMs,
    wallMs: () => Date.now(),
    after(delayMs: number, run: () => void) {
      if (stoppedAtMs !== null) return () => undefined;
      const timer = setTimeout(run, delayMs);
      timers.add(timer);
      return () => clearTimeout(timer);
    },
    stop() {
      stoppedAtMs = performance.now();
      for (const timer of timers) clearTimeout(timer);
    },
    /** Time has passed; timers have not run yet. */
    wake(passedMs: number) {
      sleptMs += passedMs;
    },
  };
}
