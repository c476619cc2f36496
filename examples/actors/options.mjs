import { setTimeout as delay } from 'node:timers/promises';
import { actor, start } from 'ballast/actors';

class Worker {
  running = 0;
  most = 0;
  variable(name) {
    return process.env[name];
  }
  async fetch() {
    this.running++;
    this.most = Math.max(this.most, this.running);
    await delay(200);
    this.running--;
  }
  status() {
    return this.most;
  }
}
// Concurrency groups: up to four fetches run at a time, and `status` still answers.
actor(import.meta, Worker, {
  groups: {
    io: { methods: ['fetch'], maxConcurrency: 4 },
    health: { methods: ['status'], maxConcurrency: 1 },
  },
});

const ballast = await start({ resources: { gpu: 2 } });

// Gets the actor of a name, or creates it.
const [first, second] = await Promise.all(
  [1, 2].map(() => ballast.spawn(Worker, { name: 'the-worker', getIfExists: true })),
);
console.log('one actor', first.actorId === second.actorId);
console.log('found', (await ballast.find(Worker, 'the-worker')).actorId === first.actorId);

const fetches = Promise.all(Array.from({ length: 6 }, () => first.fetch()));
console.log('status meanwhile', (await first.status()) <= 4);
await fetches;
console.log('at once', await first.status());

// Environment variables also work in threads. Variables that would load other code are refused.
const env = { DATA_MODE: 'small' };
for (const isolation of ['process', 'thread']) {
  const worker = await ballast.spawn(Worker, { env, isolation });
  console.log(isolation, await worker.variable('DATA_MODE'));
}
await ballast.spawn(Worker, { env: { NODE_OPTIONS: '--import ./x.mjs' } }).catch((error) => {
  console.log(error.name, error.message.replace(/Worker-\w+/, 'W'));
});

// Each actor that asks for cards sees only those assigned to it.
const users = await Promise.all([1, 2].map(() => ballast.spawn(Worker, { resources: { gpu: 1 } })));
console.log(
  'cards',
  (await Promise.all(users.map((user) => user.variable('CUDA_VISIBLE_DEVICES')))).sort().join(' '),
);

// In a pool, each call goes to the member with the fewest calls.
const pool = ballast.pool(Worker, { min: 2, max: 2 });
console.log('pooled', await pool.calls.status());
await pool.close();
await ballast.close();
