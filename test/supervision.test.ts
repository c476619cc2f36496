// Supervision groups with real processes that are killed: who starts again, and when a group gives up.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, silentLog, startNode, SupervisionGroup } from '../actors/index.ts';
import type { ActorStatus, Node, SupervisionStrategy } from '../actors/index.ts';
import { echo, FIXTURES } from './fixtures/actors/echo.ts';

const restart = { initialBackoffMs: 50, maxRestarts: 10 };
let folder: string;
let node: Node;
let channels: ChannelPool;
let system: ActorSystem;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-supervision-'));
  node = await startNode({ runDir: folder, log: silentLog, entryRoots: [FIXTURES] });
  channels = new ChannelPool();
  system = new ActorSystem({ node, transport: channels });
});
afterAll(async () => {
  await system.close();
  await node.close();
  channels.close();
  await rm(folder, { recursive: true });
});

async function statusOf(actorId: string): Promise<ActorStatus> {
  return (await node.list()).find((status) => status.actorId === actorId)!;
}

async function kill(actorId: string): Promise<void> {
  process.kill((await system.ready(actorId)).pid!, 'SIGKILL');
}

async function incarnations(ids: readonly string[]): Promise<string> {
  const statuses = await Promise.all(ids.map(statusOf));
  return statuses.map(({ incarnation, state }) => `${incarnation} ${state}`).join(', ');
}

async function states(ids: readonly string[]): Promise<string[]> {
  return (await Promise.all(ids.map(statusOf))).map(({ state }) => state);
}

async function groupOf(
  name: string,
  options: { strategy: SupervisionStrategy; maxRestarts?: number; windowMs?: number },
) {
  const group = new SupervisionGroup(system, options);
  const ids = ['a', 'b', 'c'].map((child) => `${name}-${child}`);
  for (const actorId of ids) await group.spawn(echo, { actorId, restart });
  await Promise.all(ids.map((actorId) => system.ready(actorId)));
  return { group, ids };
}

describe('a group', () => {
  it.each([
    ['one-for-one', '1 alive, 2 alive, 1 alive'],
    ['rest-for-one', '1 alive, 2 alive, 2 alive'],
    ['one-for-all', '2 alive, 2 alive, 2 alive'],
  ] as const)('%s: restarts once who depends on the killed child', async (strategy, expected) => {
    const { group, ids } = await groupOf(strategy, { strategy });
    await kill(ids[1]!);
    await eventually(async () => expect(await incarnations(ids)).toBe(expected));
    await delay(500); // no child starts a second time
    expect(await incarnations(ids)).toBe(expected);
    await group.stop();
    expect(await states(ids)).toEqual(['dead', 'dead', 'dead']);
  });

  it('says to the restarted why', async () => {
    const { group, ids } = await groupOf('why', { strategy: 'rest-for-one' });
    const seen: string[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const { actorId, reason } of node.watch(controller.signal)) {
        if (actorId === ids[2]) seen.push(reason);
      }
    })();
    await kill(ids[0]!);
    await eventually(async () => expect((await statusOf(ids[2]!)).incarnation).toBe(2));
    controller.abort();
    await watching;
    expect(seen.join('\n')).toMatch(
      /its group restarts it \(rest-for-one\): actor why-a was ended by SIGKILL/,
    );
    await group.stop();
  });

  it('mends as many failures as it may, then gives up and ends its children', async () => {
    const { group, ids } = await groupOf('intense', { strategy: 'one-for-one', maxRestarts: 2 });
    let failed: Error | null = null;
    void group.failed.then((error) => (failed = error));
    for (const incarnation of [2, 3]) {
      await kill(ids[0]!);
      await eventually(async () =>
        expect(await statusOf(ids[0]!)).toMatchObject({ incarnation, state: 'alive' }),
      );
    }
    expect(failed).toBeNull();
    await kill(ids[0]!);
    await eventually(() => expect(failed).not.toBeNull());
    expect(failed).toMatchObject({
      name: 'GroupFailed',
      message: expect.stringMatching(
        /more than 2 failures in 600 s, the last: actor intense-a was ended by/,
      ) as string,
    });
    expect(await states(ids)).toEqual(['dead', 'dead', 'dead']);
  });

  it('forgives failures older than its window', async () => {
    const { group, ids } = await groupOf('window', { strategy: 'one-for-one', maxRestarts: 1, windowMs: 10 });
    for (const incarnation of [2, 3, 4]) {
      await kill(ids[0]!);
      await eventually(async () =>
        expect(await statusOf(ids[0]!)).toMatchObject({ incarnation, state: 'alive' }),
      );
    }
    expect(await incarnations(ids)).toBe('4 alive, 1 alive, 1 alive');
    await group.stop();
  });

  it('gives up when a child ends for good', async () => {
    const group = new SupervisionGroup(system, { strategy: 'one-for-one' });
    await group.spawn(echo, { actorId: 'good-a' });
    await group.spawn(echo, { actorId: 'good-b', args: { startError: 'user' } });
    expect((await group.failed).message).toMatch(/actor good-b ended permanently: exited with code 78/);
    expect(await states(['good-a', 'good-b'])).toEqual(['dead', 'dead']);
  });
});

describe('a group in a group', () => {
  it('that gives up is one failure of its parent, which restarts it, and in the end gives up too', async () => {
    const parent = new SupervisionGroup(system, { strategy: 'rest-for-one', maxRestarts: 1 });
    let starts = 0;
    await parent.spawn(echo, { actorId: 'first', restart });
    await parent.spawnGroup({ strategy: 'one-for-one', maxRestarts: 0 }, async (group) => {
      starts++;
      await group.spawn(echo, { actorId: 'inner', restart });
    });
    await parent.spawn(echo, { actorId: 'last', restart });
    await Promise.all(['first', 'inner', 'last'].map((actorId) => system.ready(actorId)));

    await kill('inner');
    await eventually(() => expect(starts).toBe(2));
    await eventually(async () =>
      expect(await incarnations(['first', 'inner', 'last'])).toBe('1 alive, 2 alive, 2 alive'),
    );
    await kill('inner');
    expect((await parent.failed).message).toMatch(/more than 1 failures .* actor inner was ended by SIGKILL/);
    expect(await states(['first', 'inner', 'last'])).toEqual(['dead', 'dead', 'dead']);
    expect(starts).toBe(2);
  });

  it('starts again with its parent', async () => {
    const parent = new SupervisionGroup(system, { strategy: 'one-for-all' });
    await parent.spawn(echo, { actorId: 'all-first', restart });
    await parent.spawnGroup({ strategy: 'one-for-one' }, async (group) => {
      await group.spawn(echo, { actorId: 'all-inner', restart });
    });
    const { pid } = await system.ready('all-inner');
    await kill('all-first');
    await eventually(async () => {
      const inner = await statusOf('all-inner');
      expect([inner.state, inner.pid === pid]).toEqual(['alive', false]);
    });
    await parent.stop();
  });
});
