import { actor, start, thisActor } from 'ballast/actors';

class Model {
  // Values are fetched where they are used: a reference is small, and goes in any call.
  async sum(weights) {
    const { ballast } = thisActor();
    const { layers } = await ballast.get(weights);
    return layers.reduce((sum, layer) => sum + layer.reduce((a, b) => a + b, 0), 0);
  }
  // An actor's own values are freed with it.
  train() {
    return thisActor().ballast.put({ layers: [new Float32Array([1, 2]), new Float32Array([3])] });
  }
}
actor(import.meta, Model);

const ballast = await start();
const [trainer, reader] = await Promise.all([ballast.spawn(Model), ballast.spawn(Model)]);
const weights = await trainer.train();
console.log('read by another', await reader.sum(weights));
console.log('read here', (await ballast.get(weights)).layers[1][0]);
const mine = await ballast.put({ layers: [new Float64Array(1000).fill(0.5)] });
console.log('mine', await reader.sum(mine));
await ballast.close();
