// Horizontal scaling as an autoscaler does it: nats-server, a coordinator, a node that trains, and nodes that make images,
// which come and go during a run (SIGTERM and the grace period, or SIGKILL). The number of workers follows the metric
// that the autoscaler reads.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { startTestNode, type TestNode } from '../support/cluster.ts';
import {
  type Api,
  ended,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
  whenEvent,
} from '../support/coordinator.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { newFolder } from '../support/suite.ts';

const CLUSTER_FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'cluster');
const BUDGET = 144;
/** The assumed time of an image before one was made. */
const FIRST_IMAGE_SECONDS = 0.5;
const BACKLOG = /^ballast_synthesis_backlog_seconds\{.*\} (\S+)$/gm;
const IMAGE_SECONDS = /^ballast_synthesis_image_seconds(?:\{.*\})? (\S+)$/gm;

describe.runIf(hasNats)('a cluster', () => {
  let nats: NatsServer;
  let folder: string;
  let trainer: TestNode;

  beforeAll(async () => {
    folder = newFolder('scaling');
    nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    trainer = await joinAs('trainer', 'classifier-trainer', ['--resources', 'cpu=1']);
  });

  afterAll(async () => {
    expect(await end(trainer)).toBe(0);
    await nats.stop();
  });

  const joinAs = (name: string, role: string, flags: readonly string[]) =>
    startTestNode(folder, `s${process.pid}-${name}`, [
      ...['--join', nats.url, '--labels', `role=${role}`, '--entry-root', CLUSTER_FIXTURES],
      ...['--grace', '20', ...flags],
    ]);
  const worker = (name: string) => joinAs(name, 'diffusion-worker', ['--resources', 'cpu=1']);

  it('scales out and in during a run, and loses nothing', async () => {
    const coordinator = await startCoordinator(join(folder, 'real'), [
      ...['--join', nats.url, '--labels', 'role=coordinator', '--metrics-port', '0'],
      ...['--worker-labels', 'role=diffusion-worker', '--trainer-labels', 'role=classifier-trainer'],
    ]);
    const { api } = coordinator;
    const config = await tinyConfig({
      synthesis: { budget: BUDGET, shardSize: 6 },
      training: { epochs: 4, batchSize: 4 },
    });

    await api.createRun({ runId: 'still', config });
    await whenBacklog(coordinator, (seconds) => seconds === BUDGET * FIRST_IMAGE_SECONDS); // without a worker
    const first = await worker('w1'); // scale out from none
    const still = await ended(api, 'runs/still');
    expect(still.state).toBe('STATE_SUCCEEDED');

    await api.createRun({ runId: 'moving', config });
    await whenEvent(api, 'runs/moving', inEpoch(1));
    expect(await backlog(coordinator)).toBeGreaterThan(0);
    const second = await worker('w2'); // scale out
    await whenEvent(api, 'runs/moving', inEpoch(2));
    expect(await end(first)).toBe(0); // scale in: SIGTERM, in the midst of shards
    await whenEvent(api, 'runs/moving', inEpoch(3));
    const joining = worker('w3');
    await whenEvent(api, 'runs/moving', inEpoch(4));
    second.cli.signal('SIGKILL'); // the grace period was not enough
    const third = await joining;
    const moving = await ended(api, 'runs/moving');

    expect(moving.state).toBe('STATE_SUCCEEDED');
    expect(moving.weightsDigest).toBe(still.weightsDigest);
    const redone = await Promise.all(
      [1, 2, 3].map(
        async (epoch) => (await api.getEpoch({ name: `runs/moving/epochs/${epoch}` })).shardsRedone,
      ),
    );
    expect(redone).toEqual([0, 0, 0]); // what the drained worker had begun was taken over, not made again
    expect(await backlog(coordinator)).toBe(0);

    expect(await end(third)).toBe(0); // scale in to none
    const wish = { run: 'runs/moving', className: 'disc', count: 12, seed: 1 };
    const images = collect(api.synthesize(wish, { deadlineMs: 120_000 }));
    const seconds = await whenBacklog(coordinator, (value) => value > 0);
    expect(seconds).toBeCloseTo(12 * (await metric(coordinator, IMAGE_SECONDS))!, 6);
    const fourth = await worker('w4');
    expect(await images).toHaveLength(12);
    expect(await backlog(coordinator)).toBe(0);
    await expect(collect(api.synthesize({ ...wish, className: 'cat' }))).rejects.toThrow('no such class');
    expect(await backlog(coordinator)).toBe(0);

    expect(await end(fourth)).toBe(0);
    coordinator.close();
    coordinator.cli.signal('SIGTERM');
    expect((await coordinator.cli.ended).code).toBe(0);
  });

  it('is as quick as it has workers (these sleep in place of computing)', async () => {
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
      const add = async (name: string) =>
        sleepers.push(await joinAs(name, 'sleeper', ['--resources', 'cpu=1']));
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
        synthesis: { budget: 600, shardSize: 6 },
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
      for (const node of sleepers) expect(await end(node)).toBe(0);
      child.kill('SIGTERM');
      expect((await once(child, 'exit'))[0]).toBe(0);
    }
  });
});

/** Progress of synthesis in an epoch: some shards are taken over, others are being made. */
function inEpoch(epoch: number): (event: RunEvent__Output) => boolean {
  return ({ synthesisProgress }) => synthesisProgress?.epoch === epoch && synthesisProgress.done >= 12;
}

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

async function end({ cli }: TestNode): Promise<number | null> {
  cli.signal('SIGTERM');
  return (await cli.ended).code;
}

async function apiOf(child: ChildProcess): Promise<string> {
  child.stdout!.setEncoding('utf8');
  for (let text = ''; ;) {
    const [part] = (await once(child.stdout!, 'data')) as [string];
    const [, address] = /^api: (\S+)$/m.exec((text += part)) ?? [];
    if (address !== undefined) return address;
  }
}

/** The metric that the autoscaler's query reads, summed over runs. */
async function backlog(coordinator: TestCoordinator): Promise<number> {
  const seconds = await metric(coordinator, BACKLOG);
  if (seconds === null) throw new Error('the coordinator tells of no backlog');
  return seconds;
}

/** The backlog once `accept` likes it. */
async function whenBacklog(
  coordinator: TestCoordinator,
  accept: (seconds: number) => boolean,
): Promise<number> {
  for (let tries = 0; ; tries++) {
    const seconds = await metric(coordinator, BACKLOG);
    if (seconds !== null && accept(seconds)) return seconds;
    if (tries > 600) throw new Error(`the coordinator tells of a backlog of ${seconds} s`);
    await sleep(100);
  }
}

/** A metric's series of the coordinator, summed; null when there is none. */
async function metric({ cli }: TestCoordinator, series: RegExp): Promise<number | null> {
  const [, url = ''] = await cli.waitFor(/^metrics: (\S+)$/m);
  const values = [...(await (await fetch(url)).text()).matchAll(series)];
  return values.length === 0 ? null : values.reduce((sum, [, value]) => sum + Number(value), 0);
}

async function collect<Item>(stream: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
