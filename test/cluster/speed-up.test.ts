// Workers that sleep in place of computing show what the rest costs: how much faster a run is with more of them, and how runs
// share them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import { endNode, startTestNode, type TestNode } from '../support/cluster.ts';
import { type Api, inEpoch, tinyConfig, whenEvent } from '../support/coordinator.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { newFolder } from '../support/suite.ts';

const CLUSTER_FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'cluster');
const BUDGET = 144;

describe.runIf(hasNats)('a cluster of sleepers', () => {
  let nats: NatsServer;
  let folder: string;
  let trainer: TestNode;

  beforeAll(async () => {
    folder = newFolder('speed-up');
    nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    trainer = await joinAs('trainer', 'classifier-trainer');
  });

  afterAll(async () => {
    expect(await endNode(trainer)).toBe(0);
    await nats.stop();
  });

  const joinAs = (name: string, role: string) =>
    startTestNode(folder, `u${process.pid}-${name}`, [
      ...['--join', nats.url, '--labels', `role=${role}`, '--entry-root', CLUSTER_FIXTURES],
      ...['--grace', '20', '--resources', 'cpu=1'],
    ]);

  it('is as quick as it has workers, and shares them between runs by weight', async () => {
    const dirs = ['runs', 'node'].map((name) => join(folder, 'sleeping', name));
    for (const dir of dirs) mkdirSync(dir, { recursive: true });
    const script = join(CLUSTER_FIXTURES, 'sleeping-coordinator.mjs');
    const child = spawn(process.execPath, [script, nats.url, ...dirs], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pool = new ChannelPool();
    const sleepers: TestNode[] = [];
    try {
      const api = plainCalls(coordinatorService, pool, await apiOf(child));
      const add = async (name: string) => sleepers.push(await joinAs(name, 'sleeper'));
      await add('z1');
      const synthesis = { budget: BUDGET, shardSize: 6 };
      const config = await tinyConfig({ synthesis, training: { epochs: 100, batchSize: 16 } });
      await api.createRun({ runId: 'naps', config });
      const alone = await secondsOf(api, 1);
      await Promise.all(['z2', 'z3', 'z4'].map(add));
      await untilAlive(api, 4);
      const { epoch } = await api.getRun({ name: 'runs/naps' });
      const together = await secondsOf(api, epoch + 2); // the next one that begins with all of them
      await api.cancelRun({ name: 'runs/naps' });
      expect(alone / together).toBeGreaterThan(2.4);
      expect(alone / together).toBeLessThan(4.4);

      // Two runs at once: one of weight 3 gets three times the workers of the other.
      const crowd = await tinyConfig({
        synthesis: { budget: 6000, shardSize: 6 },
        training: { epochs: 1, batchSize: 16 },
      });
      await api.createRun({ runId: 'light', config: crowd });
      const light = followDone(api, 'runs/light');
      await whenEvent(api, 'runs/light', inEpoch(1));
      await api.createRun({ runId: 'heavy', config: crowd, weight: 3 });
      await whenEvent(api, 'runs/heavy', ({ synthesisProgress }) => (synthesisProgress?.done ?? 0) >= 60);
      const before = light.done;
      await whenEvent(api, 'runs/heavy', ({ synthesisProgress }) => (synthesisProgress?.done ?? 0) >= 360);
      const meanwhile = light.done - before;
      light.stop();
      expect(meanwhile).toBeGreaterThan(60); // 300 / 3 = 100, in shards of 6
      expect(meanwhile).toBeLessThan(160);
      await Promise.all(['light', 'heavy'].map((id) => api.cancelRun({ name: `runs/${id}` })));
    } finally {
      pool.close();
      for (const node of sleepers) expect(await endNode(node)).toBe(0);
      child.kill('SIGTERM');
      expect((await once(child, 'exit'))[0]).toBe(0);
    }
  });
});

/** Images that a run's trainer holds, as they arrive. */
function followDone(api: Api, name: string): { readonly done: number; stop(): void } {
  const stopping = new AbortController();
  const followed = { done: 0, stop: () => stopping.abort(new Error('seen enough')) };
  const follow = async () => {
    const options = { signal: stopping.signal, deadlineMs: 120_000 };
    for await (const { synthesisProgress } of api.watchRun({ name, includeProgress: true }, options))
      followed.done = synthesisProgress?.done ?? followed.done;
  };
  follow().catch(() => undefined); // ends by `stop`
  return followed;
}

/** Resolves when this many workers serve. */
async function untilAlive(api: Api, count: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { actors } = await api.listActors({});
    if (actors.filter(({ type, state }) => type === 'diffusion-worker' && state === 'alive').length === count)
      return;
    if (tries > 240) throw new Error(`there never were ${count} workers`);
    await sleep(250);
  }
}

/** How long synthesis of an epoch took, once it is complete. */
async function secondsOf(api: Api, epoch: number): Promise<number> {
  const name = `runs/naps/epochs/${epoch}`;
  await whenEvent(api, 'runs/naps', ({ epochFinished }) => epochFinished?.epoch?.name === name);
  const { synthesisDuration } = await api.getEpoch({ name });
  return synthesisDuration!.seconds + synthesisDuration!.nanos / 1e9;
}

async function apiOf(child: ChildProcess): Promise<string> {
  child.stdout!.setEncoding('utf8');
  for (let text = ''; ;) {
    const [part] = (await once(child.stdout!, 'data')) as [string];
    const [, address] = /^api: (\S+)$/m.exec((text += part)) ?? [];
    if (address !== undefined) return address;
  }
}
