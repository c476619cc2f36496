import {
  connectNode,
  EmbeddedStore,
  openEmbeddedRegistry,
  remoteRegistry,
  ActorSystem,
} from 'ballast/actors';
import { counter } from './counter-type.mjs';
import { startLocal } from './local.mjs';

// The first node holds the registry, and serves it to the others. (On a real cluster: openNatsRegistry.)
const store = new EmbeddedStore();
const headRegistry = openEmbeddedRegistry({ store });
const head = await startLocal({
  nodeId: 'head',
  resources: { gpu: 0 },
  cluster: headRegistry,
  registryStore: store,
});
const registry = remoteRegistry(head.transport, head.node.address);
const worker = await startLocal({ nodeId: 'worker', resources: { gpu: 1 }, cluster: registry });

// The actor is spawned through the head, placed on the node with the card, and called like any other.
while ((await head.node.listNodes()).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
const actor = await head.system.spawn(counter, { resources: { gpu: 1 }, args: { from: 5 } });
console.log('on', (await head.system.ready(actor.actorId)).nodeId, 'count', (await actor.get({})).count);

// Any process can use a cluster through any of its nodes.
const system = new ActorSystem({
  node: connectNode(head.transport, worker.node.address),
  transport: head.transport,
});
console.log('same actor', (await system.handle(counter, actor.actorId).get({})).count);
await system.close();
await worker.close();
await registry.close();
await head.close();
await headRegistry.close();
