// Pools with real processes: who gets a call, when a pool grows and shrinks, and what deaths and stragglers do to calls.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorPool, ActorSystem, ChannelPool, silentLog, startNode } from '../actors/index.ts';
import type { ActorStatus, Node, PoolOptions } from '../actors/index.ts';
import { echo, FIXTURES } from './fixtures/actors/echo.ts';
import type { EchoServiceClient } from './fixtures/actors/echo.ts';

let folder: string;
let node: Node;
let channels: ChannelPool;
let system: ActorSystem;
const pools: ActorPool<EchoServiceClient>[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-pools-'));
  node = await startNode({ runDir: folder, log: silentLog, entryRoots: [FIXTURES] });
  channels = new ChannelPool();
  system = new ActorSystem({ node, transport: channels });
});
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));
afterAll(async () => {
  await system.close();
  await node.close();
  channels.close();
  await rm(folder, { recursive: true });
});

/** A pool of `min` members, all of which serve. */
async function poolOf(options: PoolOptions): Promise<ActorPool<EchoServiceClient>> {
  const pool = new ActorPool(system, echo, { restart: { initialBackoffMs: 50 }, ...options });
  pools.push(pool);
  await eventually(() => expect(pool.size).toBe(options.min));
  return pool;
}

async function living(): Promise<ActorStatus[]> {
  return (await node.list()).filter(({ state, type }) => state !== 'dead' && type === 'echo');
}

const pidsOf = (answers: readonly { pid: number }[]) => answers.map(({ pid }) => pid);
const count = (pids: readonly number[]) =>
  [...new Set(pids)].map((pid) => pids.filter((p) => p === pid).length);

describe('a pool', () => {
  it('gives each call to the member with the fewest', async () => {
    const pool = await poolOf({ min: 3, max: 3, maxConcurrency: 4, creditsPerMember: 4 });
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => pool.calls.say({ text: '', delayMs: 300 })),
    );
    expect(count(pidsOf(answers))).toEqual([2, 2, 2]);
    const held = pool.calls.say({ text: '', delayMs: 600 });
    const others = [];
    for (let i = 0; i < 4; i++) others.push(await pool.calls.say({ text: '' }));
    expect(pidsOf(others)).not.toContain((await held).pid);
  });

  it('lets a member hold no more calls than its credits, streams too', async () => {
    const pool = await poolOf({ min: 1, max: 1, creditsPerMember: 1 });
    const stream = pool.calls.count({ until: 3 })[Symbol.asyncIterator]();
    await stream.next();
    let isAnswered = false;
    const call = pool.calls.say({ text: 'after' }).then(() => (isAnswered = true));
    await delay(300);
    expect([isAnswered, pool.waiting]).toEqual([false, 1]);
    await stream.return?.();
    await call;
    expect(pool.waiting).toBe(0);
  });

  it('refuses a call when enough of them wait, and ends a wait at its deadline', async () => {
    const pool = await poolOf({ min: 1, max: 1, creditsPerMember: 1, maxWaitingCalls: 2 });
    const busy = pool.calls.say({ text: '', delayMs: 1000 });
    const late = pool.calls.say({ text: '' }, { deadlineMs: 100 });
    const waits = pool.calls.say({ text: 'waited' });
    await expect(pool.calls.say({ text: '' })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'the pool is full (2 calls wait)',
    });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await busy;
    expect(await waits).toMatchObject({ text: 'waited' });
  });

  it('grows to its limit while calls wait, and shrinks when members are idle', async () => {
    const pool = await poolOf({ min: 1, max: 3, creditsPerMember: 1, idleMs: 400 });
    const hold = new AbortController();
    const options = { signal: hold.signal, deadlineMs: Infinity };
    const held = Array.from({ length: 12 }, () => pool.calls.say({ text: '', delayMs: 300_000 }, options));
    await eventually(() => expect(pool.size).toBe(3));
    expect([pool.waiting, (await living()).length]).toEqual([9, 3]);
    hold.abort();
    await Promise.allSettled(held);
    await eventually(async () => expect(await living()).toHaveLength(1));
    expect(pool.size).toBe(1);
    expect(await pool.calls.say({ text: 'still here' })).toMatchObject({ text: 'still here' });
  });

  it('goes on with idempotent calls whose member is killed for good, and replaces it', async () => {
    const pool = await poolOf({ min: 2, max: 2, restart: { maxRestarts: 0 }, stragglerFactor: 0 });
    const before = (await living()).map(({ actorId }) => actorId);
    const [victim] = await living();
    const calls = Array.from({ length: 4 }, () => pool.calls.repeat({ text: 'done', delayMs: 2000 }));
    await delay(200);
    process.kill(victim!.pid!, 'SIGKILL');
    const answers = await Promise.all(calls);
    expect(answers.map(({ text }) => text)).toEqual(['done', 'done', 'done', 'done']);
    expect(pidsOf(answers)).not.toContain(victim!.pid);
    await eventually(() => expect(pool.size).toBe(2));
    const after = (await living()).map(({ actorId }) => actorId);
    expect(after).toHaveLength(2);
    expect(after).not.toContain(victim!.actorId);
    expect(before.filter((actorId) => after.includes(actorId))).toHaveLength(1);
  });

  it('gives no call to a member that restarts', async () => {
    const pool = await poolOf({ min: 2, max: 2, restart: { initialBackoffMs: 5000 } });
    const [victim] = await living();
    process.kill(victim!.pid!, 'SIGKILL');
    await eventually(() => expect(pool.size).toBe(1));
    for (let i = 0; i < 6; i++) expect(await pool.calls.say({ text: 'ok' })).toMatchObject({ text: 'ok' });
    await eventually(() => expect(pool.size).toBe(2));
    expect(await living()).toHaveLength(2);
  });

  it('tries a straggler on a second member, if it may run twice', async () => {
    const pool = await poolOf({ min: 2, max: 2, creditsPerMember: 1, stragglerFactor: 4 });
    for (let i = 0; i < 10; i++) await pool.calls.repeat({ text: '', delayMs: 20 });
    const [first, second] = await living();
    process.kill(first!.pid!, 'SIGSTOP');
    try {
      const startMs = performance.now();
      const answers = [];
      for (let i = 0; i < 2; i++) answers.push(await pool.calls.repeat({ text: '', delayMs: 20 }));
      expect(performance.now() - startMs).toBeLessThan(10_000);
      expect(new Set(pidsOf(answers))).toEqual(new Set([second!.pid]));
    } finally {
      process.kill(first!.pid!, 'SIGCONT');
    }
  });

  it('says why its members cannot start', async () => {
    const pool = new ActorPool(system, echo, { min: 1, max: 1, args: { startError: 'user' } });
    pools.push(pool);
    await expect(pool.calls.say({ text: '' })).rejects.toMatchObject({
      name: 'ActorError',
      code: 'UNAVAILABLE',
      lastLogLines: expect.arrayContaining([expect.stringContaining('no such data folder')]) as string[],
    });
  });

  it('ends its members and refuses calls when it is closed', async () => {
    const pool = await poolOf({ min: 2, max: 2 });
    await pool.close();
    expect(await living()).toEqual([]);
    await expect(pool.calls.say({ text: '' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
