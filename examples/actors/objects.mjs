import { createRegistry, ObjectStore } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, transport, system, close } = await startLocal();
// Actors have `runtime.objects`. A program that is no actor opens a store of its node itself.
const objects = new ObjectStore({
  owner: 'program/1',
  nodeAddress: node.address,
  transport,
  registry: createRegistry({}),
});
const object = await objects.put(new Uint8Array(5_000_000));
console.log(object.sizeBytes, object.holders[0] === node.address);

// The reference rides in a message. The receiver reads the bytes from shared memory, or pulls them to its node.
const actor = await system.spawn(counter);
console.log('read', (await actor.measure({ object })).count);

// Brings what can be had, and says what cannot.
const nowhere = { ...object, id: 'nobody/put/this', digest: 'f'.repeat(64) };
const { ready, failed } = await objects.wait([object, nowhere], { deadlineMs: 5000 });
console.log('ready', ready.length, 'failed', failed.length);

// An object ends with who put it, unless it is handed over: to another process, or to the node.
await objects.handOver([object], 'node');
await objects.free([object]);
const late = await system.spawn(counter);
await late.measure({ object }).catch((error) => console.log(error.code));
await close();
