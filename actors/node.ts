/**
 * A node: supervises the actors of one machine and serves them, their objects and the run's events on loopback. Locally it lives in
 * the CLI's process. When that process dies, by whatever cause, its actors end themselves.
 */

import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Log } from '../common/log.ts';
import { distRoot } from '../common/package-root.ts';
import type { NodeServiceHandlers } from '../gen/ballast/runtime/v1/NodeService.ts';
import { ChannelPool } from './channels.ts';
import type { EventBus } from './event-bus.ts';
import { openEventLog } from './event-log.ts';
import { eventHandlers } from './event-service.ts';
import { CallMetrics, createRegistry } from './metrics.ts';
import { watchNodeMetrics } from './node-metrics.ts';
import type { NodeObjects } from './node-objects.ts';
import { freeWithActors, openNodeStore } from './node-store.ts';
import type { Implementation } from './protos.ts';
import {
  eventService,
  nodeService,
  objectService,
  specFromMessage,
  statusToMessage,
} from './runtime-services.ts';
import { ServiceServer } from './server.ts';
import type { CallContext } from './server.ts';
import type { NodeApi } from './status.ts';
import { HEARTBEAT_MS, Supervisor } from './supervisor.ts';

export interface NodeOptions {
  /** Run folder: gets `logs/` and, unless `events` is given, `events.jsonl`. */
  readonly runDir: string;
  readonly log: Log;
  /** The run's events; by default the embedded bus. The node does not close a bus that it was given. */
  readonly events?: EventBus;
  /** Folders that entry modules may lie in; the package's dist folder by default. */
  readonly entryRoots?: readonly string[];
  readonly heartbeatMs?: number;
  /** Most bytes of objects in memory; by default what suits the machine. */
  readonly objectBytes?: number;
}

export interface Node extends NodeApi {
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly events: EventBus;
  /** The object store of the node. */
  readonly objects: Pick<NodeObjects, 'folder' | 'free' | 'ownerEnded'>;
  /** Metrics of the node's own process. */
  readonly registry: Registry;
  /** Ends every actor (SIGTERM, SIGKILL after `graceMs`), then the server. No process of it is left. */
  close(graceMs?: number): Promise<void>;
}

function nodeHandlers(
  supervisor: Supervisor,
  heartbeatMs: number,
): Implementation<NodeServiceHandlers, CallContext> {
  return {
    async spawn({ spec }) {
      return { status: statusToMessage(await supervisor.spawn(specFromMessage(spec))) };
    },
    async stop({ actorId, graceMs }) {
      await supervisor.stop(actorId, graceMs);
      return {};
    },
    async kill({ actorId }) {
      await supervisor.kill(actorId);
      return {};
    },
    async listActors() {
      return { actors: (await supervisor.list()).map(statusToMessage) };
    },
    async *watchActors(_request, { signal }) {
      for await (const status of supervisor.watch(signal)) yield { status: statusToMessage(status) };
    },
    register({ actorId, incarnation, address, metricsAddress }) {
      supervisor.register(actorId, incarnation, address, metricsAddress);
      return { heartbeatMs };
    },
    heartbeat({ actorId, incarnation }) {
      supervisor.heartbeat(actorId, incarnation);
      return {};
    },
  };
}

/** Starts a node in this process. @throws UserError when the run folder cannot be written. */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { runDir, log, entryRoots = [distRoot()], heartbeatMs = HEARTBEAT_MS } = options;
  const events = options.events ?? (await openEventLog({ path: join(runDir, 'events.jsonl') }));
  const registry = createRegistry({ process: 'node' });
  const server = new ServiceServer({ log, metrics: new CallMetrics(registry) });
  const supervisor = new Supervisor({ runDir, log, entryRoots, heartbeatMs });
  server.add(nodeService, nodeHandlers(supervisor, heartbeatMs));
  server.add(eventService, eventHandlers(events));
  const address = await server.listen();
  supervisor.nodeAddress = address;
  const pool = new ChannelPool();
  const objects = openNodeStore({ address, pool, registry, runDir, capacityBytes: options.objectBytes });
  server.add(objectService, objects.handlers());
  void freeWithActors(objects, supervisor, log);
  const stopMetrics = watchNodeMetrics(registry, supervisor);

  return {
    address,
    events,
    objects,
    registry,
    spawn: (spec) => supervisor.spawn(spec),
    stop: (actorId, graceMs) => supervisor.stop(actorId, graceMs),
    kill: (actorId) => supervisor.kill(actorId),
    list: () => supervisor.list(),
    watch: (signal) => supervisor.watch(signal),
    async close(graceMs) {
      await supervisor.close(graceMs);
      stopMetrics();
      await server.stop();
      objects.close();
      pool.close();
      if (options.events === undefined) await events.close();
    },
  };
}
