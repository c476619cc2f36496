// One behaviour for every registry: embedded, embedded through gRPC, and NATS JetStream on a real server.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'nats';
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
import { registryService } from '../actors/runtime-services.ts';
import { ServiceServer } from '../actors/server.ts';
import { freePort, hasNats, startNats, type NatsServer } from './support/nats.ts';

const TTL_MS = 600;
const PATIENCE_MS = 10_000;

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
  throw new Error(`waited for ${what}, in vain`);
}

/** What a watch tells, as it comes: `put a/b 1`, `expired a/b`, `synced`. */
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

  /** Resolves when exactly this has been told since the last call. */
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
  const server = new ServiceServer({ log: silentLog });
  server.add(registryService, registryHandlers(storeOf(cluster)));
  const pool = new ChannelPool();
  const registry = remoteRegistry(pool, await server.listen(), options);
  return Object.assign(registry, {
    close: async () => {
      await Object.getPrototypeOf(registry).close.call(registry);
      pool.close();
      await server.stop();
    },
  });
};

const openNats: Open = (cluster, options) =>
  openNatsRegistry({ url: nats?.url ?? '', cluster, ...options });

const implementations: readonly [name: string, skip: boolean, open: Open][] = [
  ['embedded', false, openEmbedded],
  ['embedded, through gRPC', false, openThroughGrpc],
  [hasNats ? 'nats' : 'nats (skipped: no nats-server on the PATH)', !hasNats, openNats],
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

  it.skipIf(skip)('tells watchers what is there, what changes, and what a holder that vanished leaves', async () => {
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
  });

  it.skipIf(skip)('refuses the writes of a holder that was stopped for longer than its lease', async () => {
    const cluster = newCluster();
    const clock = stoppableClock();
    const [sleeper, successor] = [await openOne(cluster, { clock }), await openOne(cluster)];
    const lease = await sleeper.grantLease({ name: 'trainer', ttlMs: TTL_MS });
    await sleeper.put('trainer', { n: 1 }, { lease });
    clock.stop();
    await until('the end of the lease', async () => ((await successor.get('trainer')) === null ? true : null));
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
void [connect, freePort, Announcer];
