// Detached actors of real clusters whose first node, and whose control plane with it, is killed and started again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode } from '../actors/index.ts';
import { echo } from './fixtures/actors/echo.ts';
import { startTestNode } from './support/cluster.ts';
import { noNats, startNats, type NatsServer } from './support/nats.ts';

describe.each([
  ['grpc://', ''],
  ['nats://', noNats],
])('a detached actor of a cluster joined by %s%s', (scheme, missing) => {
  it.skipIf(missing)('outlives the head: found by its name, with the state that it saved', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ballast-detached-'));
    const prefix = `t${process.pid}det${scheme.slice(0, 4)}`;
    const nats: NatsServer | null =
      scheme === 'nats://' ? await startNats(['-js', '-sd', join(folder, 'nats')]) : null;
    const join_ = (address: string) => ['--join', nats?.url ?? `grpc://${address}`];
    const pool = new ChannelPool();
    const head = await startTestNode(folder, `${prefix}-head`, nats === null ? ['--port', '0'] : join_(''));
    const port = head.address.slice(head.address.lastIndexOf(':') + 1);
    const worker = await startTestNode(folder, `${prefix}-worker`, [
      ...join_(head.address),
      ...['--labels', 'role=worker'],
    ]);
    const through = ({ address }: { address: string }) =>
      new ActorSystem({ node: connectNode(pool, address), transport: pool });

    const before = through(head);
    await eventually(async () => expect(await before.node.listNodes()).toHaveLength(2));
    const begun = await before.spawn(echo, {
      ...{ name: 'keeper', lifetime: 'detached', labels: { role: 'worker' } },
      restart: { initialBackoffMs: 50 },
    });
    await begun.save({ text: 'precious' });
    await before.close();

    head.cli.signal('SIGKILL');
    await head.cli.ended;
    if (nats !== null) {
      await nats.stop('SIGKILL');
      await nats.restart();
    }
    const again = await startTestNode(folder, `${prefix}-head`, [
      ...['--port', port],
      ...(nats === null ? [] : join_('')),
    ]);
    const after = through(again);
    // It continues, or its node, which was without a control plane, starts it again.
    await eventually(async () => {
      const found = await after.find(echo, 'keeper');
      expect(found?.actorId).toBe(begun.actorId);
      expect((await found!.say({ text: 'still here' })).text).toBe('still here');
    });
    // It went on, or was started again with its state; the node that looked after it is another now.
    const found = (await after.find(echo, 'keeper'))!;
    const { text, incarnation } = await found.restarted({});
    expect(incarnation === 1 ? text : (JSON.parse(text) as { state: unknown }).state).toEqual(
      incarnation === 1 ? 'null' : { text: 'precious' },
    );
    await after.stop(begun.actorId);
    await after.close();
    pool.close();
    for (const { cli } of [worker, again]) {
      cli.signal('SIGTERM');
      expect((await cli.ended).code).toBe(0);
    }
    await nats?.stop();
    await rm(folder, { recursive: true });
  });
});
