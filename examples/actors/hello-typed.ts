// TypeScript knows the methods of the handle, their arguments and their results.
import { actor, start } from 'ballast/actors';

class Counter {
  #count: number;
  constructor(from: number) {
    this.#count = from;
  }
  add(by: number) {
    return (this.#count += by);
  }
  *countDown() {
    while (this.#count > 0) yield this.#count--;
  }
}
actor(import.meta, Counter);

const ballast = await start();
const counter = await ballast.spawn(Counter, { args: [40] });
const count: number = await counter.add(2);
console.log('count', count);
for await (const left of counter.countDown()) {
  console.log('left', left);
  if (left === 41) break; // ends the generator in the actor too
}
await ballast.close();
