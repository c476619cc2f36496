// Placement groups over real nodes: where bundles lie, who is in them, and what is left of a group when a node dies.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import type { ActorStatus } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import { ballast } from './support/cli.ts';
import { livingActors, startTestNode, type TestNode } from './support/cluster.ts';

const prefix = `t${process.pid}group`;
const pool = new ChannelPool();
const systems: ActorSystem[] = [];
const nodes: TestNode[] = [];
let folder: string;
let first: ActorSystem;

const start = async (name: string) => {
  const joins = nodes.length === 0 ? [] : ['--join', `grpc://${nodes[0]!.address}`];
  const node = await startTestNode(folder, `${prefix}-${name}`, ['--resources', 'cpu=4,slot=2', ...joins]);
  nodes.push(node);
  const system = new ActorSystem({ node: connectNode(pool, node.address), transport: pool });
  systems.push(system);
  return system;
};
const statusOf = async (actorId: string): Promise<ActorStatus | undefined> =>
  (await first.node.list()).find((status) => status.actorId === actorId);
const nodesOf = (bundles: readonly string[]) =>
  Promise.all(bundles.map(async (bundle) => (await statusOf(bundle))?.nodeId));
const freeSlots = async () => (await first.node.listNodes()).map(({ free }) => free['slot']);
const kill = async (nodeId: string) => {
  const { cli } = nodes.find((node) => node.nodeId === nodeId)!;
  cli.signal('SIGKILL');
  await cli.ended;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-group-'));
  for (const name of ['a', 'b', 'c']) await start(name);
  first = systems[0]!;
  for (const system of systems)
    await eventually(async () => expect(await system.node.listNodes()).toHaveLength(3));
});

afterAll(async () => {
  await Promise.all(systems.map((system) => system.close()));
  pool.close();
  for (const { cli } of [...nodes].reverse()) cli.signal('SIGTERM');
  await Promise.all(nodes.map(({ cli }) => cli.ended));
  expect(livingActors(nodes)).toEqual([]);
  await rm(folder, { recursive: true });
});

it('lays bundles as its strategy says, and says at once what can never be', async () => {
  const [one, three] = [{ slot: 1 }, [{ slot: 1 }, { slot: 1 }, { slot: 1 }]];
  const apart = await first.placementGroup(three, { strategy: 'strict-spread' });
  await apart.ready();
  expect(new Set(await nodesOf(apart.bundles)).size).toBe(3);
  const together = await first.placementGroup([one, one], { strategy: 'strict-pack' });
  await expect(together.ready({ deadlineMs: 100 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    message: expect.stringContaining('waits for room with its placement group: 2 on one node') as string,
  });
  await eventually(async () => expect(await freeSlots()).toEqual([1, 1, 1])); // who waits holds nothing
  await apart.remove();
  await together.ready();
  expect(new Set(await nodesOf(together.bundles)).size).toBe(1);
  await expect(first.placementGroup([...three, one], { strategy: 'strict-spread' })).rejects.toThrow(
    '4 on different nodes',
  );
  await expect(first.placementGroup([one], { id: together.id })).rejects.toThrow(/taken|already/);
  await together.remove();
  await eventually(async () => expect(await freeSlots()).toEqual([2, 2, 2]));
});

it('actors live in the bundles, whichever node they are spawned through, and end with them', async () => {
  const group = await first.placementGroup([{ slot: 2 }, { slot: 2 }], { strategy: 'strict-spread' });
  await group.ready();
  const second = systems[1]!;
  const [bundle] = group.bundles as [string];
  const options = { bundle, resources: { slot: 1 } };
  const inside = await Promise.all([first.spawn(echo, options), second.spawn(echo, options)]);
  await Promise.all(inside.map((actor) => actor.say({})));
  const [where] = await nodesOf([bundle]);
  for (const [i, { actorId }] of inside.entries())
    expect(await systems[i]!.ready(actorId)).toMatchObject({ nodeId: where, bundle });
  const waiting = await second.spawn(echo, options);
  await eventually(() =>
    expect(second.status(waiting.actorId)?.reason).toContain(
      `bundle ${bundle}: slot (asks for 1, 0 of 2 free)`,
    ),
  );
  const { stdout } = await ballast(['status', '--node', nodes[0]!.address]);
  expect(stdout).toContain('1 placement group of 2 bundles: 2 alive');
  await first.stop(inside[0].actorId);
  await waiting.say({});
  await group.remove();
  for (const { actorId } of [inside[1], waiting])
    await eventually(async () => expect((await statusOf(actorId))?.state).toBe('dead'));
  await expect(first.spawn(echo, options)).rejects.toThrow(`bundle ${bundle} was removed`);
  await eventually(async () => expect(await freeSlots()).toEqual([2, 2, 2]));
});

it('bundles of a lost node go elsewhere with their actors, still apart from the others; or wait for a node', async () => {
  const system = systems[1]!;
  const options = { strategy: 'strict-spread', lifetime: 'detached' } as const;
  const group = await system.placementGroup([{ slot: 2 }, { slot: 2 }], options);
  await group.ready();
  const actors = await Promise.all(
    group.bundles.map((bundle) =>
      system.spawn(echo, { bundle, lifetime: 'detached', resources: { slot: 1 }, near: nodes[0]!.address }),
    ),
  );
  const pids = await Promise.all(actors.map(async (actor) => (await actor.say({})).pid));
  const places = await nodesOf(group.bundles);
  // The node that it was made through dies, and the one that has a bundle, if that is another: not the registry.
  const victims = new Set([nodes[1]!.nodeId, places.find((nodeId) => nodeId !== nodes[0]!.nodeId)!]);
  for (const nodeId of victims) await kill(nodeId);
  if (victims.size === 2) await start('d');
  const moved = places.map((nodeId) => victims.has(nodeId!));
  expect(moved).toContain(true);
  await eventually(async () => {
    const now = await nodesOf(group.bundles);
    expect(new Set(now).size).toBe(2);
    for (const nodeId of now) expect(victims.has(nodeId!)).toBe(false);
  });
  for (const [i, { actorId }] of actors.entries()) {
    const bundle = group.bundles[i]!;
    await eventually(async () => {
      const [status, holder] = [await statusOf(actorId), await statusOf(bundle)];
      expect(status).toMatchObject({ state: 'alive', nodeId: holder!.nodeId });
      expect(status!.pid === pids[i]).toBe(!moved[i]);
    });
  }
  // One more loss, and there is no node for the bundle: it waits, and its actor with it.
  const last = (await nodesOf(group.bundles)).find((nodeId) => nodeId !== nodes[0]!.nodeId)!;
  await kill(last);
  await eventually(async () => {
    const statuses = await Promise.all(
      [...group.bundles, ...actors.map(({ actorId }) => actorId)].map(statusOf),
    );
    expect(statuses.map((status) => status?.state).sort()).toEqual(['alive', 'alive', 'pending', 'pending']);
    expect(statuses.some((status) => /waits for room with its placement group/.test(status!.reason))).toBe(
      true,
    );
  });
  await start('e');
  await eventually(async () => {
    const statuses = await Promise.all(
      [...group.bundles, ...actors.map(({ actorId }) => actorId)].map(statusOf),
    );
    expect(statuses.map((status) => status?.state)).toEqual(['alive', 'alive', 'alive', 'alive']);
  });
  for (const bundle of group.bundles) await first.stop(bundle);
  await eventually(async () => expect(await freeSlots()).toEqual([2, 2]));
});
