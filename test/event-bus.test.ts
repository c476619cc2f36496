// One behaviour for every event bus: embedded, NATS JetStream (on a real server), and either of them through a node.
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ChannelPool,
  createRegistry,
  openEventLog,
  openNatsEventBus,
  silentLog,
  startNode,
} from '../actors/index.ts';
import type { BusEvent, EventBus } from '../actors/index.ts';
import { remoteEventBus } from '../actors/control/event-service.ts';
import { hasNats, noNats, startNats, stopNats, type NatsServer } from './support/nats.ts';

let folder: string;
let nats: NatsServer | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-events-'));
  if (hasNats) nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
});

afterAll(async () => {
  if (nats !== null) await stopNats(nats);
  await rm(folder, { recursive: true });
});

/** The first `count` events of a subscription. */
async function take(count: number, events: AsyncIterable<BusEvent>): Promise<BusEvent[]> {
  const taken: BusEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

const never = new AbortController().signal;

/** Opens the bus of a run; the same name opens the same run again. */
type Open = (run: string) => Promise<EventBus>;

const implementations: readonly [name: string, skip: boolean, open: Open][] = [
  ['embedded', false, (run) => openEventLog({ path: join(folder, run, 'events.jsonl') })],
  [`nats${noNats}`, !hasNats, (run) => openNatsEventBus({ url: nats?.url ?? '', runId: run })],
  ['embedded, through a node', false, openThroughNode],
];

async function openThroughNode(run: string): Promise<EventBus> {
  const node = await startNode({ runDir: join(folder, `node-${run}`), log: silentLog });
  const pool = new ChannelPool();
  const close = async () => {
    pool.close();
    await node.close();
  };
  return { ...remoteEventBus(pool, node.address), close };
}

describe.each(implementations)('event bus: %s', (_name, skip, open) => {
  let runs = 0;
  const opened: EventBus[] = [];
  const openRun = async (run: string) => {
    const bus = await open(run);
    opened.push(bus);
    return bus;
  };
  const newRun = () => `run-${++runs}`;
  afterEach(async () => {
    for (const bus of opened.splice(0)) await bus.close();
  });

  it.skipIf(skip)('numbers events from 1 and replays them in order', async () => {
    const bus = await openRun(newRun());
    expect(await bus.lastSequence()).toBe(0);
    expect(await bus.publish('epoch.started', { epoch: 1 })).toBe(1);
    expect(await bus.publish('epoch.finished', { epoch: 1, classes: ['a', 'b'] })).toBe(2);
    expect(await bus.lastSequence()).toBe(2);
    const events = await take(2, bus.subscribe('>', { fromSequence: 1 }, never));
    expect(events.map(({ sequence, topic, payload }) => ({ sequence, topic, payload }))).toEqual([
      { sequence: 1, topic: 'epoch.started', payload: { epoch: 1 } },
      { sequence: 2, topic: 'epoch.finished', payload: { epoch: 1, classes: ['a', 'b'] } },
    ]);
    expect(Math.abs(Date.parse(events[0]?.time ?? '') - Date.now())).toBeLessThan(60_000);
  });

  it.skipIf(skip)('replays from a sequence, then goes on with what is published later', async () => {
    const bus = await openRun(newRun());
    for (const epoch of [1, 2, 3]) await bus.publish('epoch', { epoch });
    const taken = take(4, bus.subscribe('epoch', { fromSequence: 2 }, never));
    await delay(100);
    await bus.publish('epoch', { epoch: 4 });
    await bus.publish('epoch', { epoch: 5 });
    expect((await taken).map((event) => event.payload.epoch)).toEqual([2, 3, 4, 5]);
  });

  it.skipIf(skip)('delivers only new events without a sequence', async () => {
    const bus = await openRun(newRun());
    await bus.publish('epoch', { epoch: 1 });
    let isTaken = false;
    const taken = take(1, bus.subscribe('epoch', {}, never)).finally(() => (isTaken = true));
    for (let epoch = 2; !isTaken; epoch++) {
      await bus.publish('epoch', { epoch }); // nobody says when the subscription has begun
      await delay(50);
    }
    expect((await taken)[0]!.payload.epoch).toBeGreaterThan(1);
  });

  it.skipIf(skip)('filters by topic', async () => {
    const bus = await openRun(newRun());
    for (const topic of ['shard.done.3', 'shard.lost.3', 'epoch', 'shard.done']) await bus.publish(topic, {});
    const topics = async (filter: string, count: number) =>
      (await take(count, bus.subscribe(filter, { fromSequence: 1 }, never))).map((event) => event.topic);
    expect(await topics('shard.*.3', 2)).toEqual(['shard.done.3', 'shard.lost.3']);
    expect(await topics('shard.done.>', 1)).toEqual(['shard.done.3']);
    expect(await topics('shard.>', 3)).toEqual(['shard.done.3', 'shard.lost.3', 'shard.done']);
    expect(await topics('epoch', 1)).toEqual(['epoch']);
  });

  it.skipIf(skip)('ends a subscription when its signal is aborted', async () => {
    const bus = await openRun(newRun());
    await bus.publish('epoch', {});
    const controller = new AbortController();
    const received: number[] = [];
    for await (const { sequence } of bus.subscribe('>', { fromSequence: 1 }, controller.signal)) {
      received.push(sequence);
      setTimeout(() => controller.abort(), 50);
    }
    expect(received).toEqual([1]);
  });

  it.skipIf(skip)('keeps events over closing and opening', async () => {
    const run = newRun();
    const first = await openRun(run);
    await first.publish('epoch', { epoch: 1 });
    await first.close();
    const second = await openRun(run);
    expect(await second.publish('epoch', { epoch: 2 })).toBe(2);
    const events = await take(2, second.subscribe('epoch', { fromSequence: 1 }, never));
    expect(events.map((event) => event.payload.epoch)).toEqual([1, 2]);
  });

  it.skipIf(skip)('keeps runs apart, and the order of simultaneous publishers', async () => {
    const [run, other] = [await openRun(newRun()), await openRun(newRun())];
    await other.publish('epoch', {});
    const sequences = await Promise.all(Array.from({ length: 50 }, (_, n) => run.publish('n', { n })));
    expect(sequences.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    const events = await take(50, run.subscribe('n', { fromSequence: 1 }, never));
    for (const { sequence, payload } of events) expect(sequences[Number(payload.n)]).toBe(sequence);
  });

  it.skipIf(skip)('stores a repeated publication once', async () => {
    const run = newRun();
    const bus = await openRun(run);
    const both = await Promise.all(['a', 'a'].map((id) => bus.publish('shard', { id }, { id })));
    expect(both).toEqual([1, 1]);
    expect(await bus.publish('shard', {}, { id: 'b' })).toBe(2);
    expect(await bus.publish('shard', {}, { id: 'a' })).toBe(1);
    expect(await bus.publish('shard', {})).toBe(3);
    await bus.close();
    const again = await openRun(run);
    expect(await again.publish('shard', {}, { id: 'b' })).toBe(2);
    const events = await take(3, again.subscribe('>', { fromSequence: 1 }, never));
    expect(events.map(({ payload }) => payload)).toEqual([{ id: 'a' }, {}, {}]);
  });

  it.skipIf(skip)('replays everything to whoever comes from another epoch', async () => {
    const bus = await openRun(newRun());
    for (const n of [1, 2, 3]) await bus.publish('n', { n });
    const [first] = await take(1, bus.subscribe('n', { fromSequence: 1 }, never));
    const replayed = async (epoch: string, count: number) =>
      (await take(count, bus.subscribe('n', { fromSequence: 3, epoch }, never))).map(
        ({ sequence }) => sequence,
      );
    expect(await replayed(first!.epoch, 1)).toEqual([3]);
    expect(await replayed('2001-01-01T00:00:00Z', 3)).toEqual([1, 2, 3]);
    const beyond = take(1, bus.subscribe('n', { fromSequence: 99, epoch: first!.epoch }, never));
    await delay(100);
    await bus.publish('n', { n: 4 });
    expect((await beyond).map(({ sequence, epoch }) => ({ sequence, epoch }))).toEqual([
      { sequence: 4, epoch: first!.epoch },
    ]);
  });

  it.skipIf(skip)('refuses what is no topic', async () => {
    const bus = await openRun(newRun());
    await expect(bus.publish('epoch finished', {})).rejects.toThrow("Event topic 'epoch finished'");
    expect(() => bus.subscribe('a.>.b', {}, never)).toThrow("Event filter 'a.>.b'");
  });
});

describe('embedded event bus', () => {
  it('drops a last line that a crash cut off, and replays more than memory holds', async () => {
    const path = join(folder, 'crash', 'events.jsonl');
    const first = await openEventLog({ path });
    for (let n = 0; n < 10_000; n++) void first.publish('n', { n });
    await first.close();
    await appendFile(path, '{"sequence":10001,"topic":"n","ti');
    const second = await openEventLog({ path });
    expect(await second.publish('n', { n: 10_000 })).toBe(10_001);
    const events = await take(10_001, second.subscribe('n', { fromSequence: 1 }, never));
    expect(events.every((event, index) => event.sequence === index + 1 && event.payload.n === index)).toBe(
      true,
    );
    await second.close();
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(10_002);
  });

  it('opened again, it is out of reach of a writer that never learnt that it was replaced', async () => {
    const path = join(folder, 'replaced.jsonl');
    const stale = await openEventLog({ path });
    await stale.publish('epoch.one', {});
    const holder = await openEventLog({ path });
    await holder.publish('epoch.two', {});
    await stale.publish('epoch.stale', { longer: 'than what it would lie upon' });
    await holder.publish('epoch.three', {});
    await stale.close();
    await holder.close();
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const topics = lines.map((line) => (JSON.parse(line) as BusEvent).topic);
    expect(topics).toEqual(['epoch.one', 'epoch.two', 'epoch.three']);
  });

  it('says when its file cannot be written', async () => {
    await expect(openEventLog({ path: '/dev/null/events.jsonl' })).rejects.toMatchObject({
      name: 'UserError',
    });
  });
});

/** Every event of a subscription, as it arrives. */
function follow(bus: EventBus): { readonly events: BusEvent[]; stop(): Promise<void> } {
  const events: BusEvent[] = [];
  const controller = new AbortController();
  const reading = (async () => {
    for await (const event of bus.subscribe('>', { fromSequence: 1 }, controller.signal)) events.push(event);
  })();
  return {
    events,
    async stop() {
      controller.abort();
      await reading;
    },
  };
}

describe.skipIf(!hasNats)(`a NATS server that goes and comes back${noNats}`, () => {
  const runId = 'outages';
  let server: NatsServer;
  let bus: EventBus;
  let reader: EventBus;
  const metrics = createRegistry();

  beforeAll(async () => {
    server = await startNats(['-js', '-sd', join(folder, 'outages')]);
    bus = await openNatsEventBus({ url: server.url, runId, metrics });
    reader = await openNatsEventBus({ url: server.url, runId, metrics });
  });
  afterAll(async () => {
    await bus.close();
    await reader.close();
    await server.stop();
  });

  async function received(events: readonly BusEvent[], count: number): Promise<unknown[]> {
    for (const endMs = performance.now() + 60_000; events.length < count && performance.now() < endMs;)
      await delay(10);
    return events.map(({ payload }) => payload.n);
  }

  it('stopped, killed or paused: later events are stored once, and every subscriber reads them', async () => {
    const followed = follow(reader);
    let n = 0;
    const publish = () => bus.publish('n', { n: ++n });
    expect(await publish()).toBe(1);
    expect(await received(followed.events, 1)).toEqual([1]);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await server.stop(signal);
      const waiting = [publish(), publish()];
      await delay(300);
      await server.restart();
      await Promise.all(waiting);
      await publish();
    }
    server.pause();
    const waiting = publish();
    await delay(2500); // longer than one attempt
    server.resume();
    expect(await waiting).toBe(8);
    await publish();
    const payloads = await received(followed.events, 9);
    expect(payloads.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(followed.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(followed.events.map(({ epoch }) => epoch)).size).toBe(1);
    expect(await metrics.metrics()).toContain('ballast_event_lag{bus="nats",filter=">"} 0');
    await followed.stop();
  });

  it('empty: the subscription goes on with 1 of a new epoch, and an old number replays all of it', async () => {
    const followed = follow(reader);
    await received(followed.events, 9);
    const old = followed.events.at(-1)!;
    followed.events.length = 0;
    await server.stop('SIGKILL');
    await server.restart({ empty: true });
    expect(await bus.publish('n', { n: 10 })).toBe(1);
    expect(await bus.publish('n', { n: 11 })).toBe(2);
    expect(await received(followed.events, 2)).toEqual([10, 11]);
    expect(followed.events.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(followed.events[0]!.epoch).not.toBe(old.epoch);
    const resumed = reader.subscribe('>', { fromSequence: old.sequence + 1, epoch: old.epoch }, never);
    expect((await take(2, resumed)).map(({ payload }) => payload.n)).toEqual([10, 11]);
    await followed.stop();
  });

  it('away for longer than the deadline: a publication fails with UNAVAILABLE, and is counted', async () => {
    const hasty = await openNatsEventBus({ url: server.url, runId, metrics, deadlineMs: 300 });
    server.pause();
    const startMs = performance.now();
    await expect(hasty.publish('n', {})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    server.resume();
    await server.stop();
    await expect(hasty.publish('n', {})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(performance.now() - startMs).toBeLessThan(2 * 5000); // which it would wait by default
    expect(await metrics.metrics()).toContain('ballast_event_publish_failures_total{code="UNAVAILABLE"} 2');
    await hasty.close();
    await server.restart();
  });
});

describe('unreachable NATS', () => {
  it('is one clear line, and is not waited for', async () => {
    const url = 'nats://127.0.0.1:1';
    const startMs = performance.now();
    const opening = openNatsEventBus({ url, runId: 'r' });
    await expect(opening).rejects.toMatchObject({ name: 'UserError' });
    await expect(opening).rejects.toThrow(`Cannot reach NATS at ${url.slice('nats://'.length)}`);
    expect(performance.now() - startMs).toBeLessThan(60_000);
  });

  it('reports an address of another kind, and shows no password', async () => {
    await expect(openNatsEventBus({ url: 'http://h:1', runId: 'r' })).rejects.toThrow('use nats://HOST:PORT');
    const opening = openNatsEventBus({ url: 'nats://me:secret@127.0.0.1:1', runId: 'r' });
    await expect(opening).rejects.toThrow(/^(?!.*secret)/);
  });

  it.skipIf(!hasNats)(`reports a server without JetStream${noNats}`, async () => {
    const server = await startNats([]);
    await expect(openNatsEventBus({ url: server.url, runId: 'r' })).rejects.toThrow('nats-server -js');
    await stopNats(server);
  });
});
