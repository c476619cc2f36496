import { actor, start, thisActor } from 'ballast/actors';

class Model {
  // Values are fetched where they are used: a reference is small, and fits in any call, even inside other values.
  async sum({ weights }) {
    const { layers } = await thisActor().ballast.get(weights);
    return layers.reduce((sum, layer) => sum + layer.reduce((a, b) => a + b, 0), 0);
  }
  train() {
    return thisActor().ballast.put({ layers: [new Float32Array(50_000).fill(1), new Float32Array([3])] });
  }
  // The value lives as long as this actor holds the reference.
  keep(weights) {
    this.weights = weights;
  }
  async last() {
    return (await thisActor().ballast.get(this.weights)).layers[1][0];
  }
}
actor(import.meta, Model);

const ballast = await start();
const [trainer, reader] = await Promise.all([ballast.spawn(Model), ballast.spawn(Model)]);
const weights = await trainer.train();
console.log('read by another', await reader.sum({ weights }));
await reader.keep(weights);
await ballast.stop(trainer);
console.log('read here', (await ballast.get(weights)).layers[1][0], 'kept there', await reader.last());

// Large arrays are mapped where they are read, not copied; writes to them stay in this process.
const mine = await ballast.put(new Float64Array(1_000_000).fill(0.5));
(await ballast.get(mine))[0] = 7;
console.log('mine', (await ballast.get(mine))[0], mine.sizeBytes > 8_000_000);
await ballast.free(mine);
await ballast.get(mine).catch((error) => console.log(error.code));
await ballast.close();
