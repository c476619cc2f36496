import { ActorError } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { system, close } = await startLocal();
const actor = await system.spawn(counter, { args: { from: 40 } });

// A call returns a promise of the method's result. Calls of one caller run in order.
await actor.add({ by: 1 });
console.log('count', (await actor.add({ by: 1 })).count);

// A streaming method returns an async iterable. Leaving the loop cancels the call.
const left = [];
for await (const { count } of actor.countDown({ from: 3 })) left.push(count);
console.log('down', left.join(' '));

// A client-streaming method takes an iterable, async or not, and pulls from it as it proceeds.
console.log('all', (await actor.addAll([{ by: 3 }, { by: 2 }, { by: 3 }])).count);

// A deadline, a minute by default. It also applies to calls that the handler makes.
const other = await system.spawn(counter, { args: { from: 7 } });
const { count, leftMs } = await actor.ask({ actorId: other.actorId }, { deadlineMs: 20_000 });
console.log('asked', count, leftMs < 20_000);
await actor.get({ delayMs: 5000 }, { deadlineMs: 100 }).catch((error) => {
  console.log(error.code, error.retryable);
});

// Cancelling a call throws the signal's reason here, and aborts `signal` in the handler.
const controller = new AbortController();
setTimeout(() => controller.abort(new Error('changed my mind')), 50);
await actor.get({ delayMs: 5000 }, { signal: controller.signal }).catch((error) => {
  console.log(error.message);
});

// A user's mistake is a UserError; a refusal is an ActorError with the handler's own status.
await actor.add({ by: 0 }).catch((error) => console.log(error.name, error.message));
await actor.add({ by: 5000 }).catch((error) => {
  console.log(error instanceof ActorError, error.code, error.incarnation, error.retryable);
});
await close();
