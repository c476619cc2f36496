import { expect, it } from 'vitest';
import { silentLog } from '../common/log.ts';
import { freeWithActors } from './node-store.ts';
import type { ActorStatus } from './status.ts';

const ALIVE: ActorStatus = {
  actorId: 'a',
  type: 't',
  serviceName: 's',
  incarnation: 1,
  pid: 10,
  address: '127.0.0.1:1',
  metricsAddress: '127.0.0.1:2',
  state: 'alive',
  reason: '',
  exitCode: null,
  exitSignal: null,
  lastLogLines: [],
};

it('frees what a process owned when it has ended, not when its successor starts', async () => {
  const ended: string[] = [];
  const statuses: ActorStatus[] = [
    { ...ALIVE, state: 'pending', pid: null },
    ALIVE,
    { ...ALIVE, state: 'restarting', pid: null },
    { ...ALIVE, state: 'restarting', pid: 11, incarnation: 2 },
    { ...ALIVE, pid: 11, incarnation: 2 },
    { ...ALIVE, state: 'dead', pid: null, incarnation: 2 },
  ];
  // eslint-disable-next-line @typescript-eslint/require-await -- stands for a watch
  async function* watch() {
    yield* statuses;
  }
  const ownerEnded = (owner: string) => {
    ended.push(owner);
    return Promise.reject(new Error('one failure does not end the others'));
  };
  await freeWithActors({ ownerEnded }, { watch }, silentLog);
  expect(ended).toEqual(['a/1', 'a/2']);
});
