import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, system, close } = await startLocal({
  resources: { cpu: 4, gpu: 2, licence: 1 },
  labels: { zone: 'a' },
});

// Any process can find named actors; getIfExists returns the living one.
const first = await system.spawn(counter, { name: 'main', namespace: 'team' });
const again = await system.spawn(counter, { name: 'main', namespace: 'team', getIfExists: true });
console.log('same', first.actorId === again.actorId);
const found = await system.find(counter, 'main', 'team');
console.log('found', found.actorId === first.actorId);

// Resources are counted, cards are assigned by number; labels must match.
const { actorId } = await system.spawn(counter, { resources: { gpu: 1, licence: 1 }, labels: { zone: 'a' } });
const status = await system.ready(actorId);
console.log('cards', status.gpuIds.join(), 'of node', status.nodeId === node.nodeId);

// A request that no node could ever satisfy fails at once, and says what each node lacks.
await system.spawn(counter, { resources: { gpu: 3 } }).catch((error) => {
  console.log(error.name, error.message.includes('gpu (asks for 3, has 2)'));
});

// An actor waits for resources in use, and its status says so.
const waiting = await system.spawn(counter, { resources: { licence: 1 } });
const { state, reason } = (await node.list()).find((actor) => actor.actorId === waiting.actorId);
console.log(state, reason.includes('licence (asks for 1, 0 of 1 free)'));
await system.stop(actorId);
console.log((await system.ready(waiting.actorId)).state);

// Light actors may share a process, with one thread each.
const threads = { isolation: 'thread' };
const [a, b] = [await system.spawn(counter, threads), await system.spawn(counter, threads)];
console.log('one process', (await a.get({})).pid === (await b.get({})).pid);
await close();
