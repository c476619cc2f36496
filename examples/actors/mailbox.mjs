import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { system, close } = await startLocal();
const time = async (work) => {
  const startMs = performance.now();
  await work;
  return performance.now() - startMs;
};

// Calls run one after another by default; the actor can allow more at a time.
const one = await system.spawn(counter);
const many = await system.spawn(counter, { maxConcurrency: 8 });
await Promise.all([one.get({}), many.get({})]);
const four = (actor) => Promise.all([1, 2, 3, 4].map(() => actor.get({ delayMs: 300 })));
console.log('one by one', (await time(four(one))) >= 1200);
console.log('together', (await time(four(many))) < 1200);

// A full mailbox refuses calls: the caller can wait, or call another actor.
const small = await system.spawn(counter, { maxPendingCalls: 2 });
await small.get({});
const calls = await Promise.allSettled([1, 2, 3, 4].map(() => small.get({ delayMs: 200 })));
const refused = calls.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
console.log(refused.length, refused[0].code, refused[0].retryable);
await close();
