import { afterEach, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { AsyncQueue } from '../base/async-queue.ts';
import type { Transport } from '../calls/transport.ts';
import { nodeService } from '../proto/runtime-services.ts';
import { KEPT_DEAD } from '../status/latest-dead.ts';
import type { ActorStatus, NodeApi } from '../status/status.ts';
import { ActorSystem } from './system.ts';

const TYPE = { name: 'callee', entry: 'callee.js', service: nodeService, idempotent: ['restart'] } as const;
const ALIVE = { actorId: 'a', incarnation: 1, state: 'alive', address: '127.0.0.1:1' } as ActorStatus;
const opened: ActorSystem[] = [];
afterEach(async () => {
  for (const system of opened.splice(0)) await system.close();
});

/** A system without a node: `tell` reports statuses, `answers` are those of `list`, and calls answer at once. */
function systemOf() {
  const [sent, dropped, answers]: [string[], string[], ((statuses: ActorStatus[]) => void)[]] = [[], [], []];
  const statuses = new AsyncQueue<ActorStatus>();
  const node: Partial<NodeApi> = {
    watch: (signal) => statuses.iterate(signal),
    list: () => new Promise((resolve) => answers.push(resolve)),
  };
  const transport: Transport = {
    start(_address, { method, request }, sink) {
      const { requestDeserialize } = [...nodeService.methods.values()].find(({ path }) => path === method)!;
      sent.push((requestDeserialize(request as Buffer) as { actorId: string }).actorId);
      queueMicrotask(() => sink.end(null));
      return { cancel() {}, consumed() {} } as unknown as ReturnType<Transport['start']>;
    },
    drop: (address) => void dropped.push(address),
  };
  const system = new ActorSystem({ node: node as NodeApi, transport });
  opened.push(system);
  const tell = (...some: ActorStatus[]) => some.forEach((status) => statuses.push(status));
  return { system, handle: system.handle(TYPE, 'a'), sent, dropped, answers, tell };
}

it('calls of one caller start in the order in which it made them, also when some had to wait', async () => {
  const { system, handle, sent, answers, tell } = systemOf();
  const calls = [handle.kill({ actorId: '0' }), handle.kill({ actorId: '1' })];
  await eventually(() => expect(answers).toHaveLength(2)); // each asks the node, which knows of no actor yet
  tell(ALIVE);
  await eventually(() => expect(system.status('a')).toBe(ALIVE));
  calls.push(handle.kill({ actorId: '2' }));
  answers[1]!([]);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  calls.push(handle.kill({ actorId: '3' }));
  expect(sent).toEqual([]);
  answers[0]!([]);
  await Promise.all(calls);
  expect(sent).toEqual(['0', '1', '2', '3']);
  const late = handle.kill({ actorId: '4' });
  expect(sent.at(-1)).toBe('4'); // nothing waits: it starts at once
  await late;
});

it('a call behind one that waits fails at once if it may not wait, or is aborted', async () => {
  const { system, handle, sent, tell } = systemOf();
  const { signal, abort } = abortable();
  system.onStatus(() => undefined); // begins to watch
  tell({ ...ALIVE, state: 'restarting', address: null });
  await eventually(() => expect(system.status('a')).toBeDefined());
  const first = handle.restart({ actorId: 'first' });
  await expect(handle.kill({ actorId: 'fails' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const aborted = handle.restart({ actorId: 'aborted' }, { signal });
  const last = handle.restart({ actorId: 'last' });
  abort();
  await expect(aborted).rejects.toThrow('enough');
  tell({ ...ALIVE, incarnation: 2 });
  await Promise.all([first, last]);
  expect(sent).toEqual(['first', 'last']);
});

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) };
}

it('drops the connection to an actor that has ended, though no call runs, and forgets who died long ago', async () => {
  const { system, dropped, tell } = systemOf();
  system.onStatus(() => undefined);
  const other = { ...ALIVE, actorId: 'thread of the same process' };
  tell(ALIVE, other, { ...ALIVE, state: 'dead', address: null });
  await eventually(() => expect(system.status('a')?.state).toBe('dead'));
  expect(dropped).toEqual([]);
  tell({ ...other, state: 'dead', address: null });
  await eventually(() => expect(dropped).toEqual([ALIVE.address]));
  for (let i = 1; i < KEPT_DEAD; i++) tell({ ...ALIVE, actorId: `dead-${i}`, state: 'dead', address: null });
  await eventually(() => expect(system.status('a')).toBeUndefined());
  expect(system.status(other.actorId)).toBeDefined();
});
