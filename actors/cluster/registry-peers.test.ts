import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { ChannelPool } from '../calls/channels.ts';
import { EmbeddedStore, openEmbeddedRegistry } from '../control/registry-embedded.ts';
import type { Registry } from '../control/registry.ts';
import type { ActorSpec, NodeStatus } from '../status/status.ts';
import { RegistryPeers } from './registry-peers.ts';

const LATE_MS = 300;
const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

/** A registry whose watches tell everything late. */
function late(registry: Registry): Registry {
  const watch = async function* (prefix: string, signal: AbortSignal) {
    for await (const change of registry.watch(prefix, signal)) {
      await delay(LATE_MS);
      yield change;
    }
  };
  return {
    ...{ watch, get: (key) => registry.get(key), list: (prefix) => registry.list(prefix) },
    create: (...args) => registry.create(...args),
    put: (...args) => registry.put(...args),
    update: (...args) => registry.update(...args),
    remove: (...args) => registry.remove(...args),
    grantLease: (options) => registry.grantLease(options),
    close: () => registry.close(),
  };
}

function peersOf(nodeId: string, registry: Registry): RegistryPeers {
  const transport = new ChannelPool();
  const ignore = () => undefined;
  const events = { onLost: ignore, onRestored: ignore, onGone: ignore };
  const peers = new RegistryPeers({ nodeId, registry, transport, log: silentLog, ttlMs: 10_000, ...events });
  opened.push(transport, peers);
  return peers;
}

it('catchUp waits for a node that has joined, though the watch is late', async () => {
  const store = new EmbeddedStore();
  const registry = openEmbeddedRegistry({ store });
  opened.push(registry);
  const first = peersOf('first', late(registry));
  const second = peersOf('second', registry);
  const status: Partial<NodeStatus> = {
    nodeId: 'second',
    address: '127.0.0.1:1',
    total: { cpu: 1 },
    startedAt: 'now',
  };
  second.announce(status as NodeStatus);
  await second.joined(new AbortController().signal);
  expect(first.nodes()).toEqual([]);
  await first.catchUp();
  expect(first.nodes()).toMatchObject([{ nodeId: 'second', free: { cpu: 1 } }]);
});

it('claims a name again that was released a moment ago', async () => {
  const registry = openEmbeddedRegistry({ store: new EmbeddedStore() });
  opened.push(registry);
  const peers = peersOf('only', registry);
  for (const actorId of ['a', 'b', 'c', 'd']) {
    const spec = { actorId, name: 'n', namespace: 'default' } as ActorSpec;
    await peers.claimName(spec);
    expect((await registry.get('names/default/n'))?.value).toEqual({ actorId });
    await expect(peers.claimName({ ...spec, actorId: 'other' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    peers.releaseName(spec);
  }
});
