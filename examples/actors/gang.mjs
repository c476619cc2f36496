import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, system, close } = await startLocal({ resources: { cpu: 4, gpu: 2 } });

// Either all start or none does: the nodes hold room for all before any starts.
const [leader, follower] = await system.spawnGang([
  { type: counter, actorId: 'leader', resources: { cpu: 1 } },
  { type: counter, actorId: 'follower', resources: { gpu: 2 }, args: { from: 5 } },
]);
console.log('counts', (await leader.get({})).count, (await follower.get({})).count);

// A gang that could never run together fails at once, even if each member could start alone.
const three = [1, 2, 3].map(() => ({ type: counter, resources: { gpu: 1 } }));
await system.spawnGang(three).catch((error) => {
  console.log(error.name, error.message.includes('they ask for gpu 3; node'));
});

// A gang waits for resources in use, and holds nothing while it waits.
const [card] = await system.spawnGang([
  { type: counter, resources: { gpu: 1 } },
  { type: counter, resources: { cpu: 3 } },
]);
const { state, reason } = (await node.list()).find(({ actorId }) => actorId === card.actorId);
const { free } = (await node.listNodes())[0];
console.log(state, reason.startsWith('waits for room with its gang'), 'cpu', free.cpu);
await system.stop('follower');
console.log((await system.ready(card.actorId)).state);
await close();
