import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, system, close } = await startLocal({ resources: { cpu: 4, gpu: 2 } });

// All start together, or none does: room for all is held before any starts.
const [leader, follower] = await system.spawnGang([
  { type: counter, actorId: 'leader', resources: { cpu: 1 } },
  { type: counter, actorId: 'follower', resources: { gpu: 2 }, args: { from: 5 } },
]);
console.log('counts', (await leader.get({})).count, (await follower.get({})).count);

// What could never be together fails at once, though each alone could start.
const three = [1, 2, 3].map(() => ({ type: counter, resources: { gpu: 1 } }));
await system.spawnGang(three).catch((error) => {
  console.log(error.name, error.message.includes('they ask for gpu 3; node'));
});

// What is taken now is waited for, and a gang that waits holds nothing.
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
