import { map, mapUnordered, start, task, waitSome } from 'ballast/actors';

const square = task(import.meta, function square(number) {
  return number * number;
});
const wait = task(
  import.meta,
  async function wait(ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ms;
  },
  { isolation: 'thread', max: 3 }, // threads of one process; processes by default, as many as there are cores
);

const ballast = await start();
console.log('one', await ballast.run(square, 3));
await ballast.run(wait, 0); // starts its first thread

// Runs over a list, several calls at the same time: results in its order, or as the calls finish.
const ordered = [];
for await (const result of map([3, 1, 2], (number) => ballast.run(square, number))) ordered.push(result);
console.log('in order', ordered.join(' '));
const calls = [() => ballast.run(wait, 3000), () => ballast.run(square, 1)];
const unordered = [];
for await (const result of mapUnordered(calls, (call) => call())) unordered.push(result);
console.log('as they end', unordered.join(' '));

// Takes the first of several calls.
const running = calls.map((call) => call());
const { done, pending } = await waitSome(running, { count: 1 });
console.log('first', await done[0], 'pending', pending.length);
await Promise.all(running);
await ballast.close();
