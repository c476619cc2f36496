import { afterEach, expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { eventually } from '../../common/testing/eventually.ts';
import type { ActorSpec } from '../status/status.ts';
import { DEFAULT_RESTART_POLICY } from '../status/status.ts';
import type { ActorProcessOptions, ProcessEnd } from './actor-process.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

const opened: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of opened.splice(0)) await supervisor.close();
});

const END: ProcessEnd = { exitCode: 1, exitSignal: null, lastLogLines: ['bye'], startError: null };
const ARRIVAL = { entry: '/actor.js', firstIncarnation: 1, movedBecause: null, homeNodeId: 'here' };

/** A supervisor whose processes end at the first signal; `started` tells what each was given. */
function supervisorOf(options: Partial<SupervisorOptions> = {}) {
  const started: ActorProcessOptions[] = [];
  const supervisor = new Supervisor({
    ...{ nodeId: 'here', runDir: '/tmp', log: silentLog, total: { gpu: 4 } },
    startProcess: (_spec, process) => {
      started.push(process);
      let end: (how: ProcessEnd) => void = () => undefined;
      const ended = new Promise<ProcessEnd>((resolve) => (end = resolve));
      return { pid: 1, ended, signal: () => end(END) };
    },
    ...options,
  });
  opened.push(supervisor);
  return { supervisor, started };
}

function specOf(actorId: string, more: Partial<ActorSpec> = {}): ActorSpec {
  return {
    ...{ actorId, type: 'worker', entry: 'actor.js', serviceName: 'Worker', args: null, env: {} },
    ...{ restart: DEFAULT_RESTART_POLICY, name: null, namespace: 'default', resources: {}, labels: {} },
    ...{ placement: 'pack', group: null, bundle: null, near: null, lifetime: 'owner', owner: null },
    ...{ mailbox: { maxConcurrency: 1, maxPendingCalls: 1 }, isolation: 'process', handsOver: false },
    ...more,
  };
}

it('gives actors cards by the names that CUDA_VISIBLE_DEVICES has for them on the node', () => {
  const cardsOf = (cards: readonly string[] | null) => {
    const { supervisor, started } = supervisorOf({ cards });
    for (const gpu of [2, 1, 0])
      supervisor.place(specOf(`a-${gpu}`, { resources: { gpu } }), { ...ARRIVAL, savedState: null });
    return started.map(({ env }) => [env.CUDA_VISIBLE_DEVICES, env.NVIDIA_VISIBLE_DEVICES]);
  };
  const none = [undefined, undefined];
  expect(cardsOf(['3', '5', 'GPU-a', '7'])).toEqual([['3,5', '3,5'], ['GPU-a', 'GPU-a'], none]);
  expect(cardsOf(null)).toEqual([['0,1', '0,1'], ['2', '2'], none]);
});

it('tells of each end of a process when the next one starts, if one does', async () => {
  const ends: unknown[] = [];
  const restart = { maxRestarts: 1, windowMs: 60_000, initialBackoffMs: 20_000, maxBackoffMs: 20_000 };
  const { supervisor } = supervisorOf({ onEnd: (...end) => ends.push(end) });
  supervisor.place(specOf('crashes', { restart }), { ...ARRIVAL, savedState: null });
  supervisor.place(specOf('is restarted', { restart: { ...restart, maxRestarts: 0 } }), {
    ...ARRIVAL,
    savedState: null,
  });
  supervisor.kill('crashes');
  supervisor.restart('is restarted', 'for a test');
  await eventually(() => expect(ends).toEqual([['crashes', 1, 20_000], ['is restarted', 1, 0]])); // prettier-ignore
  await supervisor.stop('crashes'); // while it waits
  await eventually(() => expect(supervisor.get('is restarted')?.incarnation).toBe(2));
  await supervisor.stop('is restarted');
  expect(ends.slice(2)).toEqual([['crashes', 1, null], ['is restarted', 2, null]]); // prettier-ignore
});
