// A cluster of real processes: nodes join, see each other, lose each other, drain; the commands that look at it.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import type { ActorHandle, ActorStatus, BusEvent, NodeStatus } from '../actors/index.ts';
import { remoteEventBus } from '../actors/control/event-service.ts';
import type { ObjectRow } from '../cli/cluster/tables.ts';
import { echo } from './fixtures/actors/echo.ts';
import type { EchoServiceClient } from './fixtures/actors/echo.ts';
import { ballast } from './support/cli.ts';
import { jsonOf, livingActors, sharedFolders, startTestNode, type TestNode } from './support/cluster.ts';
import { noNats, startNats, stopNats, type NatsServer } from './support/nats.ts';

const WORKER = ['--labels', 'role=worker', '--resources', 'cpu=4'];

describe.each([
  ['grpc://', ''],
  ['nats://', noNats],
])('a cluster joined by %s%s', (scheme, missing) => {
  const prefix = `t${process.pid}${scheme.slice(0, 4)}`;
  const started: TestNode[] = [];
  let folder: string;
  let nats: NatsServer | null = null;
  let pool: ChannelPool;
  let first: TestNode;
  let second: TestNode;
  let third: TestNode;
  let system: ActorSystem;
  let worker: ActorHandle<EchoServiceClient>;
  let detached: ActorHandle<EchoServiceClient>;

  const start = async (name: string, flags: readonly string[]) => {
    const node = await startTestNode(folder, `${prefix}-${name}`, flags);
    started.push(node);
    return node;
  };
  const joinFlags = () => ['--join', nats === null ? `grpc://${first.address}` : nats.url];
  const actor = async (actorId: string, asked = first): Promise<ActorStatus> => {
    const found = (await connectNode(pool, asked.address).list()).find((one) => one.actorId === actorId);
    if (found === undefined) throw new Error(`${asked.nodeId} knows no ${actorId}`);
    return found;
  };

  beforeAll(async () => {
    if (missing !== '') return;
    folder = await mkdtemp(join(tmpdir(), 'ballast-cluster-'));
    if (scheme === 'nats://') nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    pool = new ChannelPool();
    first = await start('first', nats === null ? [] : joinFlags());
    second = await start('second', [...joinFlags(), ...WORKER]);
    system = new ActorSystem({ node: connectNode(pool, first.address), transport: pool });
  });

  afterAll(async () => {
    if (missing !== '') return;
    await system.close();
    pool.close();
    for (const { cli } of started) cli.signal('SIGKILL');
    await Promise.all(started.map(({ cli }) => cli.ended));
    if (nats !== null) await stopNats(nats);
    await rm(folder, { recursive: true });
  });

  it.skipIf(missing)('places an actor where its label is, and its calls go there', async () => {
    const args = { stopNote: join(folder, 'worker-stopped') };
    const options = { actorId: 'worker', labels: { role: 'worker' }, resources: { cpu: 1 }, args };
    worker = await system.spawn(echo, { ...options, restart: { initialBackoffMs: 100 } });
    expect(await worker.say({ text: 'hello' })).toMatchObject({ text: 'hello', incarnation: 1 });
    expect(await actor('worker')).toMatchObject({ nodeId: second.nodeId, state: 'alive' });
    expect(livingActors([second])).toEqual(['worker']);
  });

  it.skipIf(missing)('refuses at once what no node could ever give, naming what each lacks', async () => {
    const spawning = system.spawn(echo, { labels: { role: 'poet' }, resources: { gpu: 9 } });
    const lacks = (node: TestNode) => `node ${node.nodeId} lacks label role=poet, gpu (asks for 9, has 0)`;
    await expect(spawning).rejects.toThrow(`${lacks(first)}; ${lacks(second)}`);
  });

  it.skipIf(missing)('is shown by the commands, whichever node is asked', async () => {
    const { object } = await worker.put({ sizeBytes: 100_000 });
    const nodes = await jsonOf<NodeStatus>(['nodes'], second);
    expect(nodes.map(({ nodeId, actors, free }) => [nodeId, actors, free.cpu])).toEqual([
      [first.nodeId, 0, nodes[0]?.total.cpu],
      [second.nodeId, 1, 3],
    ]);
    const [seen] = await jsonOf<ActorStatus>(['actors'], first);
    expect(seen).toMatchObject({ actorId: 'worker', nodeId: second.nodeId, resources: { cpu: 1 } });
    const objects = await jsonOf<ObjectRow>(['objects'], first);
    expect(objects).toMatchObject([
      { id: object?.id, sizeBytes: 100_000, kind: 'primary', owner: 'worker/1', pins: 0 },
    ]);
    expect(objects[0]?.holders).toEqual([second.address]);
    const status = await ballast(['status', '--node', first.dir]);
    expect(status.stdout).toMatch(/^2 nodes; free: cpu .*\n1 actor: 1 alive\n1 object, 97.7 KiB\n/);
    expect(Math.max(...status.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    const logs = await ballast(['logs', 'worker', '--node', first.address, '--lines', '5']);
    expect(logs.stdout).toContain('"message":"serving"');
    expect(await ballast(['kill', 'nobody', '--node', first.address])).toMatchObject({
      code: 1,
      stderr: "error: No actor 'nobody' here; `ballast actors` lists them\n",
    });
  });

  it.skipIf(missing)('has one stream of events, on every node', async () => {
    const bus = remoteEventBus(pool, second.address);
    await bus.publish('epoch.finished', { epoch: 1 });
    await bus.publish('epoch.finished', { epoch: 2 });
    const seen = await jsonOf<BusEvent>(['events', '--from', '2'], first);
    expect(seen).toMatchObject([{ sequence: 2, topic: 'epoch.finished', payload: { epoch: 2 } }]);
    expect(await jsonOf(['events', '--from', '3'], second)).toEqual([]);
  });

  it.skipIf(missing)('refuses the id of a living node', async () => {
    const again = ['node', '--node-id', second.nodeId, '--dir', join(folder, 'again'), ...joinFlags()];
    const { code, stderr } = await ballast(again);
    expect(stderr).toContain(`Node id '${second.nodeId}' is taken by the node at ${second.address}`);
    expect(code).toBe(1);
  });

  it.skipIf(missing)(
    'moves the actor of a killed node to the third, and idempotent calls go on',
    async () => {
      third = await start('third', [...joinFlags(), ...WORKER]);
      let isOver = false;
      const answers: number[] = [];
      const calling = (async () => {
        while (!isOver) answers.push((await worker.repeat({ text: '' }, { deadlineMs: 60_000 })).incarnation);
      })();
      second.cli.signal('SIGKILL');
      await eventually(() => expect(answers.at(-1)).toBe(2));
      isOver = true;
      await calling;
      expect(await actor('worker')).toMatchObject({ nodeId: third.nodeId, incarnation: 2, state: 'alive' });
      const nodes = await jsonOf<NodeStatus>(['nodes'], first);
      expect(nodes.map(({ nodeId }) => nodeId)).toEqual([first.nodeId, third.nodeId]);
      await eventually(() => expect(livingActors([second])).toEqual([]));
    },
  );

  it.skipIf(missing)('drains a node at SIGTERM; a detached actor outlives its home', async () => {
    const throughThird = new ActorSystem({ node: connectNode(pool, third.address), transport: pool });
    const near = { near: first.address, lifetime: 'detached' } as const;
    const begun = await throughThird.spawn(echo, { actorId: 'detached', ...near });
    const { pid } = await begun.say({ text: '' });
    await throughThird.close();
    expect(await actor('detached')).toMatchObject({ nodeId: first.nodeId });

    third.cli.signal('SIGTERM');
    expect(await third.cli.ended).toMatchObject({ code: 0, stderr: '' });
    expect(await readFile(join(folder, 'worker-stopped'), 'utf8')).toBe('stopped cleanly');
    expect(livingActors([third])).toEqual([]);
    expect(existsSync(join(third.dir, 'node.json'))).toBe(false);
    expect(sharedFolders(third.nodeId)).toEqual([]);
    detached = system.handle(echo, 'detached');
    expect(await detached.say({ text: 'still here' })).toMatchObject({ pid, incarnation: 1 });

    await eventually(async () => expect((await actor('worker')).state).toBe('pending'));
    const shown = await ballast(['actors', '--node', first.address]);
    expect(shown.stdout).toContain(`waits for room: node ${first.nodeId} lacks label role=worker`);
  });

  it.skipIf(missing)('gives a waiting actor to the next node that can have it', async () => {
    const fourth = await start('fourth', [...joinFlags(), ...WORKER]);
    expect(await worker.repeat({ text: '' })).toMatchObject({ incarnation: 3 });
    expect(await actor('worker')).toMatchObject({ nodeId: fourth.nodeId });
    process.kill((await actor('worker')).pid ?? 0, 'SIGSTOP'); // it will not end by itself
    const drained = await ballast(['drain', fourth.nodeId, '--node', first.address, '--grace', '1']);
    expect(drained).toMatchObject({ code: 0, stdout: `${fourth.nodeId}: drained; it leaves the cluster\n` });
    expect(await fourth.cli.ended).toMatchObject({ code: 0 });
    expect(livingActors([fourth])).toEqual([]);
  });

  it.skipIf(missing)('ends a node at once at the second signal', async () => {
    const fifth = await start('fifth', [...joinFlags(), '--labels', 'role=stubborn']);
    const stubborn = await system.spawn(echo, { actorId: 'stubborn', labels: { role: 'stubborn' } });
    const { pid } = await stubborn.say({ text: '' });
    process.kill(pid, 'SIGSTOP');
    fifth.cli.signal('SIGTERM');
    await eventually(async () => {
      const nodes = await connectNode(pool, first.address).listNodes();
      expect(nodes.find(({ nodeId }) => nodeId === fifth.nodeId)?.state).toBe('draining');
    });
    fifth.cli.signal('SIGTERM');
    expect(await fifth.cli.ended).toMatchObject({ code: 143 });
    expect(sharedFolders(fifth.nodeId)).toEqual([]);
    await eventually(() => expect(livingActors([fifth])).toEqual([]));
  });

  it.skipIf(missing)('leaves nothing behind', async () => {
    const stopped = await ballast(['stop', 'detached', '--node', first.address]);
    expect(stopped).toMatchObject({ code: 0, stdout: 'detached: stopped\n' });
    first.cli.signal('SIGTERM');
    expect(await first.cli.ended).toMatchObject({ code: 0, stderr: '' });
    expect(livingActors(started)).toEqual([]);
    expect(sharedFolders(prefix)).toEqual([]);
  });
});

describe('a node whose registry is gone', () => {
  it('reports it, and returns when a first node serves at that address again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ballast-registry-'));
    const prefix = `t${process.pid}head`;
    const head = await startTestNode(folder, `${prefix}-first`, ['--port', '0']);
    const flags = ['--port', head.address.slice(head.address.lastIndexOf(':') + 1)];
    const joined = await startTestNode(folder, `${prefix}-joined`, ['--join', `grpc://${head.address}`]);
    const pool = new ChannelPool();
    const stateAt = async ({ address }: TestNode) =>
      (await connectNode(pool, address).listNodes()).find(({ nodeId }) => nodeId === joined.nodeId);
    head.cli.signal('SIGKILL');
    await eventually(async () => {
      const { state, reason } = (await stateAt(joined))!;
      expect(state).toBe('lost');
      expect(reason).toContain('the node lost its lease');
    });
    const again = await startTestNode(folder, `${prefix}-first`, flags);
    await eventually(async () => expect((await stateAt(again))?.state).toBe('alive'));
    await eventually(async () =>
      expect(await stateAt(joined)).toMatchObject({ state: 'alive', reason: 'takes actors' }),
    );
    pool.close();
    for (const { cli } of [joined, again]) {
      cli.signal('SIGTERM');
      expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
    }
    expect(sharedFolders(prefix)).toEqual([]);
    await rm(folder, { recursive: true });
  });
});

describe('mistakes', () => {
  it.each([
    [['node', '--join', 'grpc://127.0.0.1:1'], '--join grpc://127.0.0.1:1: no node can be reached there'],
    [['node', '--join', 'nats://127.0.0.1:1'], 'NATS'],
    [['status', '--node', '127.0.0.1:1'], 'Node 127.0.0.1:1 cannot be reached'],
  ])('%j is one line and exit code 1', async (args, message) => {
    const { code, stderr, stdout } = await ballast(args);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });
});
