// A client whose way to its node breaks on one side, or for a while: the node is not gone for that.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import type { ActorStatus } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import { type EchoNode, startEchoNode } from './support/echo-node.ts';
import { type FlakyProxy, startProxy } from './support/flaky-proxy.ts';
import { keepPort } from './support/ports.ts';

let at: EchoNode;
let proxy: FlakyProxy;
let pool: ChannelPool;
let system: ActorSystem;
const told: ActorStatus[] = [];

beforeAll(async () => {
  at = await startEchoNode();
  proxy = await startProxy(at.node.address);
  pool = new ChannelPool();
  system = new ActorSystem({ node: connectNode(pool, proxy.address), transport: pool });
  system.onStatus((status) => told.push(status));
});

afterAll(async () => {
  await system.close();
  pool.close();
  await proxy.close();
  await at.end();
});

/** Watches that the node gave up because their caller stayed away. */
async function abandonedWatches(): Promise<number> {
  const page = await at.node.registry.metrics();
  const row = /ballast_calls_total\{[^}]*WatchActors"[^}]*code="CANCELLED"[^}]*\} (\d+)/.exec(page);
  return Number(row?.[1] ?? 0);
}

it('a link that only the node knew to be broken: the watch begins again, and no actor counts as dead', async () => {
  const kept = await system.spawn(echo, { actorId: 'kept' });
  const leaver = await system.spawn(echo, { actorId: 'leaver' });
  await Promise.all([kept.say({}), leaver.say({})]);
  proxy.cutServerSide();
  await at.system.stop('leaver');
  await eventually(async () => expect(await abandonedWatches()).toBe(1));
  expect(told.filter(({ state }) => state === 'dead')).toEqual([]);
  proxy.cut(); // now the client knows, too
  await eventually(() => expect(system.status('leaver')).toMatchObject({ state: 'dead', exitCode: 0 }));
  expect(told.filter(({ actorId, state }) => actorId === 'kept' && state === 'dead')).toEqual([]);
  expect(await kept.say({ text: 'still here' })).toMatchObject({ text: 'still here', incarnation: 1 });
  await at.system.stop('kept');
  await eventually(() => expect(system.status('kept')).toMatchObject({ state: 'dead' }));
});

it('a node out of reach for long: its actors count as dead until it answers again', async () => {
  const kept = await system.spawn(echo, { actorId: 'returner' });
  await kept.say({});
  const { target } = proxy;
  proxy.target = `127.0.0.1:${await keepPort()}`;
  proxy.cut();
  await eventually(() =>
    expect(system.status('returner')).toMatchObject({
      state: 'dead',
      reason: expect.stringContaining('its node is gone') as string,
    }),
  );
  await expect(kept.say({})).rejects.toMatchObject({ code: 'UNAVAILABLE', actorId: 'returner' });
  proxy.target = target;
  await eventually(() =>
    expect(system.status('returner')).toMatchObject({ state: 'alive', incarnation: 1, reason: 'serving' }),
  );
  expect(await kept.say({ text: 'back' })).toMatchObject({ text: 'back', incarnation: 1 });
  await system.stop('returner');
});
