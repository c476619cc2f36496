/** The registry and the events of the cluster that a node enters: its own, those of another node, or those on NATS. */
import type { Registry as MetricsRegistry } from 'prom-client';
import { CallError } from '../../actors/base/call-errors.ts';
import { ChannelPool } from '../../actors/calls/channels.ts';
import type { EventBus } from '../../actors/control/event-bus.ts';
import { openNatsEventBus } from '../../actors/control/event-nats.ts';
import { remoteEventBus } from '../../actors/control/event-service.ts';
import { EmbeddedStore, openEmbeddedRegistry } from '../../actors/control/registry-embedded.ts';
import { natsSecrets } from '../../actors/control/nats-secrets.ts';
import { openNatsRegistry } from '../../actors/control/registry-nats.ts';
import { remoteRegistry } from '../../actors/control/registry-service.ts';
import type { Registry } from '../../actors/control/registry.ts';
import { UserError } from '../../common/errors.ts';
import { plainReason } from './client.ts';
import type { NodeSettings } from './node-settings.ts';

export interface ControlPlane {
  readonly registry: Registry;
  /** The registry that the node serves to joining nodes; null where the registry is elsewhere. */
  readonly store: EmbeddedStore | null;
  /** The cluster's events; null for a file of the node's own. */
  readonly events: EventBus | null;
  close(): Promise<void>;
}

/** @throws UserError when the registry cannot be reached: at once if nothing listens there. */
export async function openControlPlane({
  join,
  cluster,
  metrics,
}: Pick<NodeSettings, 'join' | 'cluster'> & { readonly metrics: MetricsRegistry }): Promise<ControlPlane> {
  switch (join.kind) {
    case 'none':
      return ownControlPlane(metrics);
    case 'nats':
      return natsControlPlane(join.url, cluster, metrics);
    case 'grpc':
      return joinedControlPlane(join.address, metrics);
    default:
      return join satisfies never;
  }
}

function ownControlPlane(metrics: MetricsRegistry): ControlPlane {
  const store = new EmbeddedStore();
  const registry = openEmbeddedRegistry({ store, metrics });
  return { registry, store, events: null, close: () => registry.close() };
}

async function natsControlPlane(
  url: string,
  cluster: string,
  metrics: MetricsRegistry,
): Promise<ControlPlane> {
  const server = { url, ...natsSecrets(process.env), metrics };
  const registry = await openNatsRegistry({ ...server, cluster });
  try {
    const events = await openNatsEventBus({ ...server, runId: `cluster-${cluster}` });
    const close = async () => {
      await events.close();
      await registry.close();
    };
    return { registry, store: null, events, close };
  } catch (thrown) {
    await registry.close();
    throw thrown;
  }
}

async function joinedControlPlane(address: string, metrics: MetricsRegistry): Promise<ControlPlane> {
  const pool = new ChannelPool();
  const registry = remoteRegistry(pool, address, { metrics });
  const close = async () => {
    await registry.close();
    pool.close();
  };
  try {
    await registry.list('nodes/');
  } catch (thrown) {
    await close();
    throw joinFailure(address, thrown);
  }
  return { registry, store: null, events: remoteEventBus(pool, address), close };
}

function joinFailure(address: string, thrown: unknown): unknown {
  if (!(thrown instanceof CallError)) return thrown;
  const reason =
    thrown.code === 'UNIMPLEMENTED'
      ? 'that node serves no registry; join where it has joined'
      : `no node can be reached there (${plainReason(thrown)})`;
  return new UserError(`--join grpc://${address}: ${reason}`, { cause: thrown });
}
