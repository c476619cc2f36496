import { openEmbeddedRegistry } from 'ballast/actors';
import { startLocal } from './local.mjs';

const { node, close } = await startLocal();

// Events are stored, numbered and replayed. Actors have the same bus as `runtime.events`.
await node.events.publish('epoch.finished', { epoch: 1 });
await node.events.publish('epoch.finished', { epoch: 2 });
const seen = [];
for await (const event of node.events.subscribe('epoch.*', { fromSequence: 1 }, AbortSignal.timeout(5000))) {
  seen.push(`${event.sequence}:${event.payload.epoch}`);
  if (seen.length === 2) break;
}
console.log(seen.join(' '));

// The registry has keys, compare-and-set, and leases that end with their holder.
const registry = openEmbeddedRegistry();
const lease = await registry.grantLease({ name: 'leader', ttlMs: 2000 });
const revision = await registry.create('roles/leader', { who: 'me' }, { lease });
await registry.create('roles/leader', { who: 'you' }).catch((error) => console.log(error.code));
await registry.update('roles/leader', { who: 'me', since: 1 }, revision, { lease });
await registry.update('roles/leader', {}, revision).catch((error) => console.log(error.name));
console.log('lost', lease.lost.aborted);
await lease.release();
console.log('leader', await registry.get('roles/leader'));
await registry.close();
await close();
