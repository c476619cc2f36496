// Two nodes on separate machines whose connection is cut: calls wait and run once, lost actors end before they continue
// elsewhere, and a node that returns resumes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import { livingActors, startTestNode, type TestNode } from './support/cluster.ts';
import { hasNats, type NatsServer, startNats } from './support/nats.ts';
import { TestNetwork } from './support/network.ts';
import { actorsOf } from './support/processes.ts';

const isPossible = hasNats && TestNetwork.isPossible();
const why = isPossible ? '' : ' (skipped: takes root, iproute2 and nats-server)';
/** More than the nodes' leases, 5 s, and what it takes to notice their end. */
const LONG_MS = 12_000;
/** A call that ends an actor waits this long and a little more, so the longest cut leaves a busy machine time for it. */
const STOP_GRACE_MS = 60_000;

describe.skipIf(!isPossible)(`two nodes and cut cables${why}`, () => {
  const prefix = `t${process.pid}cut`;
  const pool = new ChannelPool();
  let network: TestNetwork;
  let folder: string;
  let nats: NatsServer;
  let first: TestNode;
  let second: TestNode;
  let system: ActorSystem;

  const start = (i: number, role: string) => {
    const { address, enter } = network.hosts[i]!;
    const flags = ['--join', nats.url, '--host', address, '--labels', `role=${role}`, '--resources', 'cpu=2'];
    return startTestNode(folder, `${prefix}-${role}`, flags, { env: { BALLAST_INSECURE: '1' }, enter });
  };
  const statusOf = async (actorId: string) =>
    (await system.node.list()).find((one) => one.actorId === actorId);
  const stateAt = async (asked: TestNode, { nodeId }: TestNode) =>
    (await connectNode(pool, asked.address).listNodes()).find((node) => node.nodeId === nodeId)?.state;

  beforeAll(async () => {
    network = TestNetwork.create(2)!;
    folder = await mkdtemp(join(tmpdir(), 'ballast-partition-'));
    nats = await startNats(['-js', '-sd', join(folder, 'nats')], {}, network.address);
    first = await start(0, 'first');
    second = await start(1, 'second');
    system = new ActorSystem({ node: connectNode(pool, first.address), transport: pool });
    await eventually(async () => expect(await stateAt(first, second)).toBe('alive'));
  });

  afterEach(() => network.mend()); // also where a test failed

  afterAll(async () => {
    await system.close();
    pool.close();
    for (const { cli } of [second, first]) {
      cli.signal('SIGTERM');
      expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
    }
    expect(livingActors([first, second])).toEqual([]);
    await nats.stop();
    network.close();
    await rm(folder, { recursive: true });
  });

  it.each([500, LONG_MS])(
    'cut off from each other for %i ms: what is asked waits and is done once, nobody is lost',
    async (forMs) => {
      const { nodeId } = second;
      const far = await system.spawn(echo, { actorId: `far-${forMs}`, labels: { role: 'second' } });
      const near = await system.spawn(echo, { actorId: `near-${forMs}`, labels: { role: 'first' } });
      await Promise.all([far.say({}), near.say({})]);
      network.cut(network.hosts[0]!, network.hosts[1]!);
      // Through the first node, which cannot reach the second one now.
      const stopped = system.stop(`far-${forMs}`, STOP_GRACE_MS);
      await delay(forMs);
      expect([await stateAt(first, second), await stateAt(second, first)]).toEqual(['alive', 'alive']);
      expect(actorsOf(second.dir).map(({ actorId }) => actorId)).toEqual([`far-${forMs}`]);
      network.mend();
      await stopped;
      expect(await statusOf(`far-${forMs}`)).toMatchObject({ state: 'dead', incarnation: 1, nodeId });
      await system.stop(`near-${forMs}`);
    },
  );

  it('cut off from everybody for longer than its lease: its actor ends there, then goes on elsewhere', async () => {
    const actor = await system.spawn(echo, { actorId: 'mover', near: second.address });
    await actor.save({ text: 'kept' });
    const { pid } = await actor.say({});
    expect(actorsOf(second.dir).map((found) => found.pid)).toEqual([pid]);
    network.unplug(network.hosts[1]!);
    await eventually(async () => {
      const status = await statusOf('mover');
      // Never two at a time.
      if (status?.incarnation === 2 && status.state === 'alive') expect(actorsOf(second.dir)).toEqual([]);
      expect(status).toMatchObject({ incarnation: 2, state: 'alive', nodeId: first.nodeId });
    });
    expect(await actor.restarted({})).toMatchObject({ incarnation: 2 });
    network.mend();
    await eventually(async () => expect(await stateAt(first, second)).toBe('alive'));
    expect(await statusOf('mover')).toMatchObject({ incarnation: 2, state: 'alive', nodeId: first.nodeId });
    await system.stop('mover');
  });

  it('the node that looks after an actor was cut off itself: the actor starts again when it is back', async () => {
    await system.spawn(echo, { actorId: 'returner', name: 'returner', labels: { role: 'first' } });
    await system.ready('returner');
    network.unplug(network.hosts[0]!);
    await eventually(() => expect(livingActors([first])).toEqual([]));
    network.mend();
    await eventually(async () =>
      expect(await statusOf('returner')).toMatchObject({ state: 'alive', incarnation: 2 }),
    );
    await system.stop('returner');
    await eventually(() => expect(livingActors([first])).toEqual([]));
  });
});
