import { ActorPool } from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { system, close } = await startLocal();
const pool = new ActorPool(system, counter, {
  min: 1,
  max: 3,
  creditsPerMember: 2, // calls that one member may hold; others wait in the pool
  maxWaitingCalls: 100, // waiting calls; one more is refused
  idleMs: 30_000, // idle members above `min` end after this time
  stragglerFactor: 4, // idempotent calls are tried on a second member after four medians
});
// The pool has the methods of its type: each call goes to the member with the fewest calls.
const answers = await Promise.all(Array.from({ length: 12 }, () => pool.calls.get({ delayMs: 400 })));
console.log('members', new Set(answers.map(({ pid }) => pid)).size > 1, pool.size <= 3);
await pool.close();
await close();
