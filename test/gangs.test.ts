// Gangs over two real nodes: together or not at all, two of them at once, and one whose member cannot start. And single
// actors that wait for room there.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import { livingActors, startTestNode, type TestNode } from './support/cluster.ts';

const prefix = `t${process.pid}gang`;
const pool = new ChannelPool();
let folder: string;
let nodes: TestNode[];
/** One system through each node. */
let systems: ActorSystem[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-gang-'));
  const resources = ['--resources', 'cpu=2,slot=2'];
  const first = await startTestNode(folder, `${prefix}-a`, resources);
  const second = await startTestNode(folder, `${prefix}-b`, [
    ...resources,
    '--join',
    `grpc://${first.address}`,
  ]);
  nodes = [first, second];
  systems = nodes.map(
    ({ address }) => new ActorSystem({ node: connectNode(pool, address), transport: pool }),
  );
  for (const system of systems)
    await eventually(async () => expect(await system.node.listNodes()).toHaveLength(2));
});

afterAll(async () => {
  await Promise.all(systems.map((system) => system.close()));
  pool.close();
  for (const { cli } of [...nodes].reverse()) {
    cli.signal('SIGTERM');
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
  }
  expect(livingActors(nodes)).toEqual([]);
  await rm(folder, { recursive: true });
});

const two = (name: string) =>
  [0, 1].map((i) => ({ type: echo, actorId: `${name}-${i}`, resources: { slot: 2 }, name: `${name}-${i}` }));
const stateOf = async (actorId: string) =>
  (await systems[0]!.node.list()).find((status) => status.actorId === actorId)?.state;
const freeSlots = async (i: number) => (await systems[i]!.node.listNodes()).map(({ free }) => free['slot']);

it('is spread over the nodes that have room for all, and gives it back', async () => {
  const gang = await systems[0]!.spawnGang(two('whole'));
  const pids = await Promise.all(gang.map(async (member) => (await member.say({})).pid));
  expect(new Set(pids).size).toBe(2);
  const places = await Promise.all(
    gang.map(async ({ actorId }) => (await systems[0]!.ready(actorId)).nodeId),
  );
  expect(places.sort()).toEqual(nodes.map(({ nodeId }) => nodeId));
  await Promise.all(gang.map(({ actorId }) => systems[0]!.stop(actorId)));
  for (const i of [0, 1]) await eventually(async () => expect(await freeSlots(i)).toEqual([2, 2]));
});

it('two gangs that are started through two nodes at once never hold each other up', async () => {
  for (let round = 0; round < 3; round++) {
    const names = [`left${round}`, `right${round}`];
    await Promise.all(names.map((name, i) => systems[i]!.spawnGang(two(name))));
    const isUp = async (name: string) =>
      (await stateOf(`${name}-0`)) === 'alive' && (await stateOf(`${name}-1`)) === 'alive';
    const isWaiting = async (name: string) =>
      (await stateOf(`${name}-0`)) === 'pending' && (await stateOf(`${name}-1`)) === 'pending';
    const winner = await eventually(async () => {
      const up = await Promise.all(names.map(isUp));
      expect(up).toContain(true);
      return up.indexOf(true);
    });
    const loser = names[1 - winner]!;
    // The other's home alone knows of what waits there.
    await eventually(async () => {
      const all = await systems[1 - winner]!.node.list();
      const waiting = all.filter(({ actorId }) => actorId.startsWith(loser));
      expect(waiting.map(({ state }) => state)).toEqual(['pending', 'pending']);
    });
    expect(await isWaiting(names[winner]!)).toBe(false);
    for (const i of [0, 1]) await systems[winner]!.stop(`${names[winner]!}-${i}`);
    for (const i of [0, 1]) expect((await systems[1 - winner]!.ready(`${loser}-${i}`)).state).toBe('alive');
    for (const i of [0, 1]) await systems[1 - winner]!.stop(`${loser}-${i}`);
  }
});

it('says at once what lacks, and where', async () => {
  const three = [0, 1, 2].map(() => ({ type: echo, resources: { slot: 2 } }));
  await expect(systems[0]!.spawnGang(three)).rejects.toThrow(
    `A gang of 3 cannot be placed: 3 at once: they ask for slot 6; node ${prefix}-a has slot 2 in all; ` +
      `node ${prefix}-b has slot 2 in all.`,
  );
  await expect(systems[0]!.spawnGang([{ type: echo, resources: { licence: 1 } }])).rejects.toThrow(
    `node ${prefix}-b lacks licence (asks for 1, has 0)`,
  );
});

it('is ended whole when a member cannot start, and its names and room are free', async () => {
  const [good, bad] = two('half');
  const wrong = { ...bad!, args: { startError: 'user' }, restart: { maxRestarts: 0 } };
  await systems[0]!.spawnGang([good!, wrong]);
  await eventually(async () => {
    expect([await stateOf('half-0'), await stateOf('half-1')]).toEqual(['dead', 'dead']);
  });
  for (const i of [0, 1]) await eventually(async () => expect(await freeSlots(i)).toEqual([2, 2]));
  const again = await systems[1]!.spawnGang(two('half'));
  await Promise.all(again.map((member) => member.say({})));
  await Promise.all(again.map(({ actorId }) => systems[1]!.stop(actorId)));
});

it('an actor that is stopped while it waits gives its name back to the whole cluster', async () => {
  const [first, second] = systems as [ActorSystem, ActorSystem];
  const gang = await first.spawnGang(two('busy'));
  await Promise.all(gang.map(({ actorId }) => first.ready(actorId)));
  const waiting = await first.spawn(echo, { name: 'wanted', resources: { slot: 1 } });
  expect(await stateOf(waiting.actorId)).toBe('pending');
  const again = () => second.spawn(echo, { name: 'wanted' });
  await expect(again()).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  await first.stop(waiting.actorId);
  expect(await stateOf(waiting.actorId)).toBe('dead');
  const named = await eventually(again); // the registry learns it a moment later
  await named.say({});
  for (const { actorId } of [named, ...gang]) await second.stop(actorId);
});
