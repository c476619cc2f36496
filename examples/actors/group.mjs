import { SupervisionGroup } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, system, close } = await startLocal();
const group = new SupervisionGroup(system, { strategy: 'rest-for-one', maxRestarts: 1 });
const restart = { initialBackoffMs: 50 };
const source = await group.spawn(counter, { actorId: 'source', restart });
const sink = await group.spawn(counter, { actorId: 'sink', restart }); // depends on the source
const pids = [(await source.get({})).pid, (await sink.get({})).pid];

// Both start again: the source because it failed, the sink because it was spawned after it.
process.kill(pids[0], 'SIGKILL');
for await (const { actorId, incarnation, state } of node.watch(AbortSignal.timeout(20_000))) {
  if (actorId === 'sink' && incarnation === 2 && state === 'alive') break;
}
console.log('both anew', (await source.get({})).pid !== pids[0], (await sink.get({})).pid !== pids[1]);

// After one failure more than allowed, the group gives up and ends its children.
process.kill((await source.get({})).pid, 'SIGKILL');
console.log((await group.failed).message.startsWith('more than 1 failures'));
console.log((await node.list()).map(({ actorId, state }) => `${actorId} ${state}`).join(', '));
await close();
