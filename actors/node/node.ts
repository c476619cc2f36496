/**
 * A node: the part of a cluster on one machine (or pod). It supervises actors and serves them, the run's events and
 * objects. A local run has its node in the CLI's process. If the node's process dies for any reason, its actors end
 * themselves.
 */

import { join } from 'node:path';
import type { Registry as MetricsRegistry } from 'prom-client';
import { CallError } from '../base/call-errors.ts';
import { nodeApi } from '../cluster/cluster.ts';
import { refuseTakenId } from '../cluster/node-identity.ts';
import type { EventBus } from '../control/event-bus.ts';
import { openEventLog } from '../control/event-log.ts';
import type { NodeObjects } from '../objects/node-objects.ts';
import { ServingProcess } from '../serving/serving-process.ts';
import type { NodeApi } from '../status/status.ts';
import { checkNodeOptions } from './node-options.ts';
import type { NodeOptions } from './node-options.ts';
import { listenOptions, NodeParts } from './node-parts.ts';

export type { NodeOptions };

/** How long a node tries to join. */
const JOIN_TIMEOUT_MS = 15_000;

export interface Node extends NodeApi {
  readonly nodeId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly events: EventBus;
  /** The object store of the node. */
  readonly objects: Pick<NodeObjects, 'folder' | 'free' | 'ownerEnded'>;
  /** Metrics of the node's own process. */
  readonly registry: MetricsRegistry;
  /** Aborted when the node was drained through gRPC: close it. */
  readonly drained: AbortSignal;
  /** Takes no new actors and ends its own; those that can continue elsewhere do so once it is closed. */
  drain(graceMs: number): Promise<void>;
  /** Kills every actor and removes the objects at once, for a process that is about to exit. */
  abandon(): void;
  /** Ends every actor (SIGTERM, then SIGKILL after `graceMs`), then the server. Leaves no process behind. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a node in this process. @throws UserError when the run folder cannot be written, or a living node has the same
 * id; CallError when the registry cannot be reached.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  checkNodeOptions(options);
  const { runDir, log, port, metrics } = options;
  const nodeId = options.nodeId ?? `node-${crypto.randomUUID().slice(0, 8)}`;
  if (options.cluster !== undefined) await refuseTakenId(options.cluster, nodeId);
  const path = join(runDir, 'events.jsonl');
  const events =
    options.events ?? (await openEventLog({ path, ...(metrics === undefined ? {} : { metrics }) }));
  const serving = await ServingProcess.start({
    ...{ labels: { process: 'node' }, log, ...listenOptions(options) },
    ...(port === undefined ? {} : { port }),
    ...(metrics === undefined ? {} : { registry: metrics }),
  });
  const parts = new NodeParts(options, nodeId, serving);
  parts.serve(events);
  const { cluster, objects, drained } = parts;
  const node: Node = {
    ...nodeApi(cluster),
    ...{ nodeId, address: serving.address, events, objects, registry: serving.registry },
    drained: drained.signal,
    drain: (graceMs) => cluster.drain(graceMs),
    abandon: () => parts.abandon(),
    async close(graceMs) {
      await parts.close(graceMs);
      if (options.events === undefined) await events.close();
    },
  };
  await enterCluster(parts, node);
  return node;
}

/** Joins the cluster; a node that cannot is closed. */
async function enterCluster({ peers, cluster }: NodeParts, node: Node): Promise<void> {
  if (peers === null) return;
  try {
    peers.announce(cluster.ownStatus);
    await peers.joined(AbortSignal.timeout(JOIN_TIMEOUT_MS));
  } catch (thrown) {
    await node.close();
    const seconds = JOIN_TIMEOUT_MS / 1000;
    throw new CallError(
      'UNAVAILABLE',
      `the registry took no entry of node ${node.nodeId} within ${seconds} s`,
      {
        cause: thrown,
      },
    );
  }
}
