// Room on the nodes of a cluster, held together or not at all, for later actors and tasks.
import { actor, start, task } from 'ballast/actors';

class Trainer {
  card() {
    return process.env['CUDA_VISIBLE_DEVICES'];
  }
}
actor(import.meta, Trainer);
const square = task(
  import.meta,
  function square(number: number) {
    return number * number;
  },
  { resources: { cpu: 1 }, max: 2 },
);

const ballast = await start({ resources: { cpu: 4, gpu: 2 } });
const options = { id: 'lab', strategy: 'strict-pack' } as const;
const group = await ballast.placementGroup([{ cpu: 1, gpu: 1 }, { cpu: 2 }], options);
await group.ready({ deadlineMs: 10_000 }); // its room is held, whether or not an actor uses it

const resources = { gpu: 1 };
const trainer = await ballast.spawn(Trainer, { bundle: 'lab-0', resources });
console.log('card', await trainer.card());
console.log('task', await ballast.runIn('lab-1', square, 7));

// A request for more than is left in a bundle waits; a request for more than the whole bundle is refused.
const waiting = await ballast.spawn(Trainer, { bundle: 'lab-0', resources });
console.log(ballast.system.status(waiting.actorId)?.reason);
await ballast
  .spawn(Trainer, { bundle: 'lab-1', resources })
  .catch((error: Error) => console.log(error.message.split(': ')[1]));

// Its actors end with the group.
await group.remove();
await ballast.ready(waiting).catch((error: Error) => console.log(error.message.includes('was removed')));
console.log('left', (await ballast.node.listNodes())[0]?.free['gpu']);
await ballast.close();
