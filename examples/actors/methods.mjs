import { setTimeout as delay } from 'node:timers/promises';
import { actor, start, thisActor } from 'ballast/actors';

class OutOfStock extends Error {
  name = 'OutOfStock';
  left = 3;
}

class Shop {
  // Creates the instance when a constructor is not enough, because it cannot await.
  static async create(stock) {
    const shop = new Shop();
    shop.stock = await Promise.resolve(stock);
    return shop;
  }
  // Arguments and results can be any values that structured clone can copy.
  describe(when) {
    return { names: new Set(this.stock.keys()), sum: 2n ** 70n, when, prices: new Float32Array([1.5]) };
  }
  buy(name) {
    if (!this.stock.has(name)) throw new OutOfStock('none left', { cause: new RangeError(name) });
    return this.stock.get(name);
  }
  // A generator streams: it proceeds as the caller consumes its values.
  async *report() {
    for (const [name, count] of this.stock) yield `${name} ${count}`;
  }
  async slow() {
    await delay(5000, undefined, { signal: thisActor().call.signal });
  }
  tries = 0;
  flaky() {
    if (++this.tries < 3) throw new TypeError('not yet');
    return this.tries;
  }
  who() {
    return thisActor().actorId;
  }
}
actor(import.meta, Shop, { errors: [OutOfStock] });

const ballast = await start();
const shop = await ballast.spawn(Shop, {
  args: [
    new Map([
      ['pear', 2],
      ['plum', 5],
    ]),
  ],
});

const { names, sum, when, prices } = await shop.describe(new Date(0));
console.log([...names].join(' '), sum, when.getTime(), prices[0]);

// An error keeps its class, its fields, its cause, and its original stack.
await shop.buy('fig').catch((error) => {
  console.log(error instanceof OutOfStock, error.message, error.left, error.cause instanceof RangeError);
  console.log(/Shop\.buy .*methods\.mjs[^]*at Shop\.buy \(actor Shop-/.test(error.stack));
});

for await (const line of shop.report()) console.log(line);

// A call can have a deadline (a minute by default), a signal, and retries after chosen errors.
await shop.slow
  .with({ deadlineMs: 300 })()
  .catch((error) => console.log(error.code));
await shop.slow
  .with({ signal: AbortSignal.abort(new Error('enough')) })()
  .catch((error) => console.log(error.message));
console.log('tries', await shop.flaky.with({ retries: 5, retryOn: [TypeError] })());

// One actor reaches another by its id; values that cannot be sent are refused before they leave.
console.log('same', (await shop.who()) === shop.actorId);
await shop.buy(() => 1).catch((error) => console.log(error.name, error.message.split(' (')[0]));
await ballast.close();
