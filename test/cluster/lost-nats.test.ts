// nats-server returns with an empty store while a coordinator executes a run that a client watches: nodes announce
// themselves again, the run ends with the weights of an undisturbed one, and no event is lost.
import { join } from 'node:path';
import { connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { startTestNode, type TestNode } from '../support/cluster.ts';
import {
  ended,
  eventsOf,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
  whenEvent,
} from '../support/coordinator.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { newFolder } from '../support/suite.ts';

const EPOCHS = 5;
const why = hasNats ? '' : ' (skipped: no nats-server on the PATH; `make test` installs it)';

describe.skipIf(!hasNats)(`a NATS server that lost its store${why}`, () => {
  let nats: NatsServer;
  let coordinator: TestCoordinator;
  let nodes: TestNode[];

  beforeAll(async () => {
    const folder = newFolder('lost-nats');
    nats = await startNats(['-js', '-sd', join(folder, 'nats')]);
    const roles = ['classifier-trainer', 'diffusion-worker'];
    coordinator = await startCoordinator(folder, [
      ...['--join', nats.url, '--labels', 'role=coordinator', '--lease', '20'],
      ...['--worker-labels', `role=${roles[1]}`, '--trainer-labels', `role=${roles[0]}`],
    ]);
    nodes = await Promise.all(
      roles.map((role) =>
        startTestNode(folder, `l${process.pid}-${role}`, [
          ...['--join', nats.url, '--labels', `role=${role}`, '--resources', 'cpu=1', '--lease', '20'],
        ]),
      ),
    );
  });

  afterAll(async () => {
    for (const { cli } of nodes) {
      cli.signal('SIGTERM');
      expect((await cli.ended).code).toBe(0);
    }
    coordinator.close();
    coordinator.cli.signal('SIGTERM');
    expect((await coordinator.cli.ended).code).toBe(0);
    await nats.stop();
  });

  it('costs a run nothing, nor those who watch it', async () => {
    const { api } = coordinator;
    const config = await tinyConfig({ training: { epochs: EPOCHS, batchSize: 4 } });
    await api.createRun({ runId: 'still', config });
    const still = await ended(api, 'runs/still');

    const { name } = await api.createRun({ runId: 'shaken', config });
    const seen: RunEvent__Output[] = [];
    const watching = (async () => {
      const request = { name, fromSequence: 1 };
      for await (const event of api.watchRun(request, { deadlineMs: 240_000 })) seen.push(event);
    })();
    await whenEvent(api, name, ({ synthesisProgress }) => synthesisProgress?.epoch === 2);
    await nats.stop('SIGKILL');
    await nats.restart({ empty: true });

    await watching;
    const shaken = await api.getRun({ name });
    expect([shaken.state, shaken.weightsDigest]).toEqual(['STATE_SUCCEEDED', still.weightsDigest]);
    expect(seen).toEqual(await eventsOf(api, name)); // none lost, none twice
    expect(seen.filter(({ epochFinished }) => epochFinished != null)).toHaveLength(EPOCHS);
    const half = Math.floor(seen.length / 2);
    expect(await eventsOf(api, name, seen[half]!.sequence)).toEqual(seen.slice(half)); // resumed from there

    await eventually(async () => {
      const states = (await api.listNodes({})).nodes.map(({ state }) => state);
      expect(states).toEqual(['alive', 'alive', 'alive']);
    });
    const connection = await connect({ servers: nats.url });
    const { streams } = await connection.jetstreamManager();
    const made = await streams.info('BALLAST_run-shaken'); // again, for what came after
    expect(made.state.messages).toBeGreaterThan(0);
    expect((await streams.info('KV_ballast_default')).state.messages).toBeGreaterThan(0);
    await connection.close();
    await api.createRun({ runId: 'after', config });
    expect((await ended(api, 'runs/after')).weightsDigest).toBe(still.weightsDigest);
  });
});
