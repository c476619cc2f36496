import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { node, system, close } = await startLocal();
const actor = await system.spawn(counter, {
  actorId: 'survivor',
  restart: { maxRestarts: 5, windowMs: 60_000, initialBackoffMs: 100, maxBackoffMs: 5000 },
});
const { pid } = await actor.add({ by: 41 });

// The actor is killed during two calls. `get` is declared idempotent, and is repeated on the next process.
const get = actor.get({ delayMs: 500 });
const add = actor.countDown({ from: 1e9 });
process.kill(pid, 'SIGKILL');
try {
  for await (const _ of add);
} catch (error) {
  console.log(error.code, error.retryable, error.message.includes('was ended by SIGKILL'));
}
const answer = await get;
console.log('count', answer.count, answer.pid !== pid);

// The node reports the actor's state, and its cause.
const [status] = await node.list();
console.log(status.state, status.incarnation, status.exitSignal);
await close();
