// Events of a coordinator's runs on a real NATS server: kept during a run and for some time afterwards, then removed.
// Their folders keep them.
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ballast } from './support/cli.ts';
import {
  ended,
  eventsOf,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
  whenEvent,
} from './support/coordinator.ts';
import { hasNats, noNats, type NatsServer, startNats } from './support/nats.ts';
import { newFolder, readReport, referenceRun } from './support/suite.ts';

describe.skipIf(!hasNats)(`events of runs on NATS${noNats}`, () => {
  let folder: string;
  let nats: NatsServer;
  let connection: NatsConnection;
  let coordinator: TestCoordinator;

  beforeAll(async () => {
    folder = newFolder('retention');
    nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    connection = await connect({ servers: nats.url });
  });
  afterAll(async () => {
    coordinator.cli.signal('SIGKILL'); // of a test that failed
    await coordinator.cli.ended;
    await connection.close();
    await nats.stop();
  });

  const start = async (keepSeconds: number) => {
    coordinator = await startCoordinator(folder, ['--join', nats.url, '--keep-events', String(keepSeconds)]);
  };
  const stop = async () => {
    coordinator.close();
    coordinator.cli.signal('SIGTERM');
    expect((await coordinator.cli.ended).code).toBe(0);
  };
  /** Streams of events, and how many each holds. */
  const streams = async () => {
    const { streams: api } = await connection.jetstreamManager();
    const found: Record<string, number> = {};
    for await (const { config, state } of api.list())
      if (config.name.startsWith('BALLAST_')) found[config.name] = state.messages;
    return found;
  };

  // A name that is the cluster's stream without its head: the cluster's own events must stay.
  const runId = 'cluster-default';
  const name = `runs/${runId}`;
  const kept = async () => expect((await streams())['BALLAST_run-cluster-default']).toBeGreaterThan(0);
  const gone = async () => expect(Object.keys(await streams())).toEqual(['BALLAST_cluster-default']);

  it('are there after its end, and go when a coordinator starts long after', async () => {
    await start(3600);
    const { api } = coordinator;
    await api.createRun({ runId, config: await tinyConfig() });
    await whenEvent(api, name, ({ synthesisProgress }) => synthesisProgress?.epoch === 1);
    await api.cancelRun({ name });
    const names = Object.keys(await streams());
    expect(names.sort()).toEqual(['BALLAST_cluster-default', 'BALLAST_run-cluster-default']);
    await eventually(kept);
    await stop();
    await start(2);
    await eventually(gone);
  });

  it('are there again when it is resumed, and go some time after its end', async () => {
    const { api } = coordinator;
    await api.resumeRun({ name });
    await whenEvent(api, name, ({ synthesisProgress }) => synthesisProgress?.epoch === 2);
    await eventually(kept);
    const told = await eventsOf(api, name);
    const { weightsDigest } = await ended(api, name);
    expect(weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
    await eventually(gone);
    expect(await eventsOf(api, name)).toEqual(told); // from its folder
    expect(told.filter(({ epochFinished }) => epochFinished != null).length).toBeGreaterThan(0);
    expect(coordinator.cli.stderr).toBe('');
    await stop();
  });
});

it.each(['', 'soon', '-1', '1e12'])('--keep-events %j is refused in one line', async (value) => {
  const end = await ballast(['coordinator', '--runs', newFolder('keep'), '--keep-events', value]);
  expect(end).toMatchObject({ code: 1, stdout: '' });
  expect(end.stderr).toMatch(
    /^error: --keep-events [^\n]*: it must be a number of seconds from 0 to 31536000\n$/,
  );
});
