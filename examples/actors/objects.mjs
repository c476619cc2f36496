import { createRegistry, ObjectStore } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, transport, system, close } = await startLocal();
// Actors have `runtime.objects`. A program that is not an actor opens a store on its node.
const objects = new ObjectStore({
  owner: 'program/1',
  nodeAddress: node.address,
  transport,
  registry: createRegistry({}),
});
const object = await objects.put(new Uint8Array(5_000_000));
console.log(object.sizeBytes, object.holders[0] === node.address);

// The reference travels in a message. The receiver reads the bytes from shared memory, or pulls them to its node.
const actor = await system.spawn(counter);
console.log('read', (await actor.measure({ object })).count);

// Fetches the objects that can be obtained, and lists those that cannot.
const nowhere = { ...object, id: 'nobody/put/this', digest: 'f'.repeat(64) };
const { ready, failed } = await objects.wait([object, nowhere], { deadlineMs: 5000 });
console.log('ready', ready.length, 'failed', failed.length);

// An object ends with the process that put it, unless it is handed over to another process or to the node.
await objects.handOver([object], 'node');
await objects.free([object]);
const late = await system.spawn(counter);
await late.measure({ object }).catch((error) => console.log(error.code));
await close();
