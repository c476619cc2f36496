import { ActorError } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { system, close } = await startLocal();
const actor = await system.spawn(counter, { args: { from: 40 } });

// A call is a promise of the method's answer. Calls of one caller run in order.
await actor.add({ by: 1 });
console.log('count', (await actor.add({ by: 1 })).count);

// A method that streams gives an async iterable. Leaving the loop cancels the call.
const left = [];
for await (const { count } of actor.countDown({ from: 3 })) left.push(count);
console.log('down', left.join(' '));

// One that takes a stream is given an iterable, async or not, and asks for more as it goes on.
console.log('all', (await actor.addAll([{ by: 3 }, { by: 2 }, { by: 3 }])).count);

// A deadline, a minute by default. It holds for the calls that the handler makes, too.
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

// A mistake of the user is a UserError; a refusal is an ActorError with the handler's own status.
await actor.add({ by: 0 }).catch((error) => console.log(error.name, error.message));
await actor.add({ by: 5000 }).catch((error) => {
  console.log(error instanceof ActorError, error.code, error.incarnation, error.retryable);
});
await close();
