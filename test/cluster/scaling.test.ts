// Horizontal scaling as an autoscaler does it: nats-server, a coordinator, a node that trains, and nodes that make images,
// which come and go during a run (SIGTERM and the grace period, or SIGKILL). The number of workers follows the metric
// that the autoscaler reads.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endNode, startTestNode, type TestNode } from '../support/cluster.ts';
import {
  ended,
  inEpoch,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
  whenEvent,
} from '../support/coordinator.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { newFolder } from '../support/suite.ts';

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
    expect(await endNode(trainer)).toBe(0);
    await nats.stop();
  });

  const joinAs = (name: string, role: string, flags: readonly string[]) =>
    startTestNode(folder, `s${process.pid}-${name}`, [
      ...['--join', nats.url, '--labels', `role=${role}`, '--grace', '20', ...flags],
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
    expect(await endNode(first)).toBe(0); // scale in: SIGTERM, in the midst of shards
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

    expect(await endNode(third)).toBe(0); // scale in to none
    const wish = { run: 'runs/moving', className: 'disc', count: 12, seed: 1 };
    const images = collect(api.synthesize(wish, { deadlineMs: 120_000 }));
    const seconds = await whenBacklog(coordinator, (value) => value > 0);
    expect(seconds).toBeCloseTo(12 * (await metric(coordinator, IMAGE_SECONDS))!, 6);
    const fourth = await worker('w4');
    expect(await images).toHaveLength(12);
    expect(await backlog(coordinator)).toBe(0);
    await expect(collect(api.synthesize({ ...wish, className: 'cat' }))).rejects.toThrow('no such class');
    expect(await backlog(coordinator)).toBe(0);

    expect(await endNode(fourth)).toBe(0);
    coordinator.close();
    coordinator.cli.signal('SIGTERM');
    expect((await coordinator.cli.ended).code).toBe(0);
  });
});

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
