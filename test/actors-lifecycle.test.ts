// How actors come and go, with real processes: names, room, what a restarted actor learns, and what ends with its owner.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode, plainCalls, silentLog, startNode } from '../actors/index.ts';
import type { ActorStatus, Node } from '../actors/index.ts';
import { echo, FIXTURES } from './fixtures/actors/echo.ts';

const restart = { initialBackoffMs: 50 };
let folder: string;
let node: Node;
let channels: ChannelPool;
let system: ActorSystem;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-lifecycle-'));
  node = await startNode({
    runDir: folder,
    log: silentLog,
    entryRoots: [FIXTURES],
    nodeId: 'here',
    resources: { cpu: 4, gpu: 2, seat: 1 },
    labels: { zone: 'a' },
  });
  channels = new ChannelPool();
  system = new ActorSystem({ node, transport: channels });
});
afterAll(async () => {
  await system.close();
  await node.close();
  channels.close();
  await rm(folder, { recursive: true });
});

async function statusOf(actorId: string): Promise<ActorStatus | undefined> {
  return (await node.list()).find((status) => status.actorId === actorId);
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

describe('names', () => {
  it('are unique in a namespace while their actor lives', async () => {
    const first = await system.spawn(echo, { name: 'main' });
    await expect(system.spawn(echo, { name: 'main' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: `name 'main' is taken in namespace 'default' by ${first.actorId}`,
    });
    const elsewhere = await system.spawn(echo, { name: 'main', namespace: 'other' });
    expect((await system.find(echo, 'main', 'other'))?.actorId).toBe(elsewhere.actorId);
    expect((await system.find(echo, 'main'))?.actorId).toBe(first.actorId);
    await system.stop(first.actorId);
    expect(await system.find(echo, 'main')).toBeNull();
    const next = await system.spawn(echo, { name: 'main' });
    expect(next.actorId).not.toBe(first.actorId);
  });

  it('give the living actor to all who spawn it if it exists, through gRPC too', async () => {
    const remote = new ActorSystem({ node: connectNode(channels, node.address), transport: channels });
    const options = { name: 'shared', getIfExists: true };
    const handles = await Promise.all(
      [system, remote, system, remote].map((some) => some.spawn(echo, options)),
    );
    expect(new Set(handles.map(({ actorId }) => actorId)).size).toBe(1);
    const pids = await Promise.all(handles.map(async (handle) => (await handle.say({ text: '' })).pid));
    expect(new Set(pids).size).toBe(1);
    expect((await node.list()).filter(({ name }) => name === 'shared')).toHaveLength(1);
    await remote.close();
  });
});

describe('room', () => {
  it('that no node could ever give is refused at once, saying what is lacking', async () => {
    await expect(
      system.spawn(echo, { actorId: 'huge', resources: { gpu: 3, tpu: 1 } }),
    ).rejects.toMatchObject({
      name: 'UserError',
      message:
        'Actor huge cannot be placed: node here lacks gpu (asks for 3, has 2), tpu (asks for 1, has 0).',
    });
    await expect(system.spawn(echo, { labels: { zone: 'b' } })).rejects.toThrow('lacks label zone=b');
    await expect(system.spawn(echo, { resources: { gpu: 1.5 } })).rejects.toThrow('use whole cards');
    expect(await statusOf('huge')).toBeUndefined();
  });

  it('is awaited, shown as a reason, and taken in order of arrival', async () => {
    const seat = { resources: { seat: 1 } };
    await system.spawn(echo, { actorId: 'seat-1', ...seat });
    await system.spawn(echo, { actorId: 'seat-2', ...seat });
    const third = await system.spawn(echo, { actorId: 'seat-3', ...seat });
    expect(await statusOf('seat-2')).toMatchObject({
      state: 'pending',
      reason: 'waits for room: node here: seat (asks for 1, 0 of 1 free)',
      pid: null,
      nodeId: null,
    });
    const call = third.say({ text: 'sat down' });
    await system.stop('seat-1');
    await system.ready('seat-2');
    expect(await statusOf('seat-3')).toMatchObject({ state: 'pending' });
    await system.stop('seat-2');
    expect(await call).toMatchObject({ text: 'sat down' });
    await system.stop('seat-3');
    expect((await node.listNodes())[0]?.free.seat).toBe(1);
  });

  it('of graphics cards is given by number', async () => {
    const ids = ['card-a', 'card-b'];
    for (const actorId of ids) await system.spawn(echo, { actorId, resources: { gpu: 1 } });
    const given = await Promise.all(ids.map(async (actorId) => (await system.ready(actorId)).gpuIds));
    expect(given).toEqual([[0], [1]]);
    for (const actorId of ids) await system.stop(actorId);
    await system.spawn(echo, { actorId: 'half-a', resources: { gpu: 0.5 } });
    await system.spawn(echo, { actorId: 'half-b', resources: { gpu: 0.5 } });
    expect([(await statusOf('half-a'))?.gpuIds, (await statusOf('half-b'))?.gpuIds]).toEqual([[0], [0]]);
  });

  it('is kept through restarts', async () => {
    const actor = await system.spawn(echo, { actorId: 'keeps', resources: { seat: 1 }, restart });
    process.kill((await actor.say({ text: '' })).pid, 'SIGKILL');
    await system.spawn(echo, { actorId: 'hopes', resources: { seat: 1 } });
    expect(await actor.repeat({ text: '' })).toMatchObject({ incarnation: 2 });
    expect(await statusOf('hopes')).toMatchObject({ state: 'pending' });
    await system.stop('hopes');
    await system.stop('keeps');
  });
});

describe('a restarted actor', () => {
  it('learns what was saved last, and how its predecessor ended', async () => {
    const actor = await system.spawn(echo, { actorId: 'remembers', restart });
    expect((await actor.restarted({})).text).toBe('null');
    await actor.save({ text: 'one' });
    process.kill((await actor.save({ text: 'two' })).pid, 'SIGKILL');
    const told = await actor.restarted({});
    expect(told.incarnation).toBe(2);
    expect(JSON.parse(told.text)).toEqual({ state: { text: 'two' }, reason: 'was ended by SIGKILL' });
  });

  it('learns that nothing was saved, and why somebody restarted it', async () => {
    const actor = await system.spawn(echo, { actorId: 'asked', restart: { maxRestarts: 0 } });
    await actor.say({ text: '' });
    await node.restart('asked', 'new settings');
    await eventually(async () => expect((await statusOf('asked'))?.incarnation).toBe(2));
    expect(JSON.parse((await actor.restarted({})).text)).toEqual({ state: null, reason: 'new settings' });
  });
});

describe("an owner's end", () => {
  const children = [
    { child: 'child-owned' },
    { child: 'child-grand', args: { children: [{ child: 'grandchild' }] } },
    { child: 'child-detached', lifetime: 'detached' },
  ];

  it('ends what it spawned, and what that spawned, but not what is detached', async () => {
    await system.spawn(echo, { actorId: 'parent', restart: { maxRestarts: 0 }, args: { children } });
    const ids = ['parent', 'child-owned', 'child-grand', 'grandchild', 'child-detached'];
    const pids: number[] = [];
    for (const actorId of ids) {
      await eventually(async () => expect((await statusOf(actorId))?.state).toBe('alive'));
      pids.push((await statusOf(actorId))!.pid!);
    }
    process.kill(pids[0]!, 'SIGKILL');
    await eventually(() => expect(pids.map(isRunning)).toEqual([false, false, false, false, true]));
    await delay(300);
    expect(await statusOf('child-detached')).toMatchObject({ state: 'alive', owner: 'parent/1' });
    await eventually(async () =>
      expect(await statusOf('grandchild')).toMatchObject({ state: 'dead', reason: 'stopped' }),
    );
    await system.stop('child-detached');
  });

  it('is every end of its process: the next one spawns its own again', async () => {
    const args = { children: [{ child: 'again' }] };
    const parent = await system.spawn(echo, {
      actorId: 'phoenix',
      restart: { initialBackoffMs: 1 },
      args,
    });
    const { pid } = await parent.say({ text: '' });
    const first = await system.handle(echo, 'again').say({ text: '' });
    process.kill(pid, 'SIGKILL');
    await eventually(() => expect(isRunning(first.pid)).toBe(false));
    expect(await parent.repeat({ text: '' })).toMatchObject({ incarnation: 2 });
    const second = await system.handle(echo, 'again').repeat({ text: '' });
    expect(second.pid).not.toBe(first.pid);
    expect(await statusOf('again')).toMatchObject({ state: 'alive', owner: 'phoenix/2' });
  });
});

describe('isolation by threads', () => {
  it('shares a process, and restarts one actor without the others', async () => {
    const ids = ['thread-a', 'thread-b'];
    const [a, b] = await Promise.all(
      ids.map((actorId) => system.spawn(echo, { actorId, isolation: 'thread', restart })),
    );
    const [pidA, pidB] = [(await a!.say({ text: '' })).pid, (await b!.say({ text: '' })).pid];
    expect([pidA === pidB, pidA === process.pid]).toEqual([true, false]);
    await node.kill('thread-a');
    expect(await a!.repeat({ text: '' })).toMatchObject({ incarnation: 2, pid: pidA });
    expect(await b!.say({ text: '' })).toMatchObject({ incarnation: 1, pid: pidA });
  });
});

it('a plain gRPC call reaches the only actor of a process that serves the method', async () => {
  await system.spawn(echo, { actorId: 'plain' });
  const { address } = await system.ready('plain');
  const answer = await plainCalls(echo.service, channels, address!).say({ text: 'hello' });
  expect(answer).toMatchObject({ text: 'hello', incarnation: 1 });
});
