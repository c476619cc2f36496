import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { eventually } from '../../common/testing/eventually.ts';
import { DEFAULT_MAILBOX } from '../base/mailbox.ts';
import { KEPT_DEAD } from '../status/latest-dead.ts';
import { type ActorSpec, DEFAULT_RESTART_POLICY } from '../status/status.ts';
import type { ProcessEnd } from '../supervisor/actor-process.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { Cluster } from './cluster.ts';

const HERE = fileURLToPath(import.meta.url);
const END: ProcessEnd = { exitCode: 0, exitSignal: null, lastLogLines: [], startError: null };

function specOf(actorId: string, cpu = 0): ActorSpec {
  return {
    ...{ actorId, type: 'worker', entry: HERE, serviceName: 'Worker', args: [actorId], env: {} },
    ...{ restart: DEFAULT_RESTART_POLICY, name: null, namespace: 'default', resources: { cpu }, labels: {} },
    ...{ placement: 'pack', group: null, bundle: null, near: null, lifetime: 'owner', owner: null },
    ...{ mailbox: DEFAULT_MAILBOX, isolation: 'process', handsOver: false },
  };
}

it('a node forgets actors that died long ago, whether they ran or waited, but not their incarnations', async () => {
  const total = { cpu: 1 };
  const supervisor = new Supervisor({
    ...{ nodeId: 'n', runDir: '/', log: silentLog, total, heartbeatMs: 5 },
    startProcess: () => {
      let end: (how: ProcessEnd) => void = () => undefined;
      const ended = new Promise<ProcessEnd>((resolve) => (end = resolve));
      return { pid: 1, ended, signal: () => end(END) };
    },
  });
  const cluster = new Cluster({
    ...{ nodeId: 'n', address: 'n:1', metricsAddress: 'n:2', labels: {}, total, log: silentLog },
    ...{ supervisor, peers: null, entryRoots: [dirname(HERE)] },
  });
  const ids = async () => (await cluster.list()).map(({ actorId }) => actorId);
  const live = async (actorId: string, cpu: number) => {
    const { incarnation } = await cluster.spawn(specOf(actorId, cpu));
    await cluster.stop(actorId);
    return incarnation;
  };
  await cluster.spawn(specOf('lasting', 1)); // those that need a core wait
  for (const actorId of ['ran', 'waited']) expect(await live(actorId, actorId === 'ran' ? 0 : 1)).toBe(1);
  for (let i = 0; i < KEPT_DEAD; i++) for (const cpu of [0, 1]) await live(`${cpu}-${i}`, cpu);
  await eventually(async () => expect(await ids()).toHaveLength(1 + 2 * KEPT_DEAD));
  expect(await ids()).toEqual(expect.arrayContaining(['lasting', '0-0', '1-0']));
  for (const actorId of ['ran', 'waited']) await cluster.stop(actorId); // it has ended: nothing to do
  await expect(cluster.stop('never')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await live('ran', 0)).toBe(2);
  expect(await live('waited', 1)).toBe(2);
  cluster.close();
  await supervisor.close(0);
});
