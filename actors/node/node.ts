/**
 * A node: one machine's (or pod's) part of a cluster. Supervises actors and serves them, the run's events and objects.
 * Locally it lives in the CLI's process. When its process dies, by whatever cause, its actors end themselves.
 */

import { join } from 'node:path';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Log } from '../../common/log.ts';
import { UserError } from '../../common/errors.ts';
import { distRoot } from '../../common/package-root.ts';
import { checkLabels, checkResources } from '../status/actor-spec.ts';
import { checkWhole, shown } from '../base/checks.ts';
import { startActorProcess } from '../supervisor/actor-process.ts';
import { CallError } from '../base/call-errors.ts';
import { Cluster, nodeApi, ownNodeApi } from '../cluster/cluster.ts';
import type { EventBus } from '../control/event-bus.ts';
import { openEventLog } from '../control/event-log.ts';
import { eventHandlers } from '../control/event-service.ts';
import { countGoneNodes, watchNodeMetrics } from './node-metrics.ts';
import { nodeHandlers } from './node-service.ts';
import type { NodeObjects } from '../objects/node-objects.ts';
import { openNodeStore } from '../objects/node-store.ts';
import { detectResources } from './node-resources.ts';
import type { EmbeddedStore } from '../control/registry-embedded.ts';
import { NODE_TTL_MS, RegistryPeers } from '../cluster/registry-peers.ts';
import { registryHandlers } from '../control/registry-service.ts';
import type { Registry } from '../control/registry.ts';
import { eventService, nodeService, objectService, registryService } from '../proto/runtime-services.ts';
import { ServingProcess } from '../serving/serving-process.ts';
import type { Labels, NodeApi, Resources } from '../status/status.ts';
import { refuseTakenId } from '../cluster/node-identity.ts';
import { HEARTBEAT_MS, Supervisor } from '../supervisor/supervisor.ts';
import { THREAD_HOST_TYPE, ThreadHost } from '../threads/actor-thread.ts';

/** How long a node tries to join. */
const JOIN_TIMEOUT_MS = 15_000;

export interface NodeOptions {
  /** Run folder: gets `logs/` and, unless `events` is given, `events.jsonl`. */
  readonly runDir: string;
  readonly log: Log;
  /** Unique in the cluster; `node-` and eight characters by default. */
  readonly nodeId?: string;
  readonly labels?: Labels;
  /** Added to, or instead of, what the machine is seen to have. */
  readonly resources?: Resources;
  /** The run's events; by default the embedded bus. The node does not close a bus that it was given. */
  readonly events?: EventBus;
  /** Folders that entry modules may lie in; the package's dist folder is always one. */
  readonly entryRoots?: readonly string[];
  /** Time between an actor's signs of life; one that gives none for 15 times as long is killed. 2 s by default. */
  readonly heartbeatMs?: number;
  /** Time that an actor may hold its thread before its status says so, milliseconds; 10 s by default. */
  readonly busyMs?: number;
  /** Where it serves; a free loopback port by default. */
  readonly host?: string;
  readonly port?: number;
  /** Where others reach it and its actors, if not at `host`. */
  readonly advertisedHost?: string;
  /** The registry of a cluster that it joins; alone by default. The node does not close it. */
  readonly cluster?: Registry;
  /** Serves a registry to other nodes, which join at this node's address. */
  readonly registryStore?: EmbeddedStore;
  /** How long the cluster counts a silent node as alive, milliseconds. */
  readonly nodeTtlMs?: number;
  /** Where metrics go; a registry of its own by default. */
  readonly metrics?: MetricsRegistry;
  /** Most bytes of objects in memory; by default what suits the machine. */
  readonly objectBytes?: number;
  /** More folders whose disks metrics tell of, by use, beside `runDir` and that of the objects. */
  readonly watchedFolders?: Readonly<Record<string, string>>;
}

export interface Node extends NodeApi {
  readonly nodeId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly events: EventBus;
  /** The object store of the node. */
  readonly objects: Pick<NodeObjects, 'folder' | 'free' | 'ownerEnded'>;
  /** Metrics of the node's own process. */
  readonly registry: MetricsRegistry;
  /** Aborted when somebody drained the node through gRPC: close it. */
  readonly drained: AbortSignal;
  /** Takes no new actors and ends its own; those that can go on elsewhere do when it is closed. */
  drain(graceMs: number): Promise<void>;
  /** Kills every actor and removes the objects at once, for a process that is about to exit. */
  abandon(): void;
  /** Ends every actor (SIGTERM, SIGKILL after `graceMs`), then the server. No process of it is left. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a node in this process. @throws UserError when the run folder cannot be written, or a living node has its id;
 * CallError when the registry cannot be reached.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  checkNodeOptions(options);
  const { runDir, log, heartbeatMs = HEARTBEAT_MS, host, port, advertisedHost } = options;
  const nodeId = options.nodeId ?? `node-${crypto.randomUUID().slice(0, 8)}`;
  if (options.cluster !== undefined) await refuseTakenId(options.cluster, nodeId);
  const { metrics } = options;
  const events =
    options.events ??
    (await openEventLog({
      path: join(runDir, 'events.jsonl'),
      ...(metrics === undefined ? {} : { metrics }),
    }));
  const listen = {
    ...(host === undefined ? {} : { host }),
    ...(advertisedHost === undefined ? {} : { advertisedHost }),
  };
  const ownPort = port === undefined ? {} : { port };
  const serving = await ServingProcess.start({
    labels: { process: 'node' },
    log,
    ...listen,
    ...ownPort,
    ...(metrics === undefined ? {} : { registry: metrics }),
  });
  const { registry, dispatcher, server, pool, address, metricsAddress } = serving;
  const total = { ...detectResources(), ...options.resources };
  const supervisor = new Supervisor({
    nodeId,
    runDir,
    log,
    total,
    heartbeatMs,
    ...(options.busyMs === undefined ? {} : { busyMs: options.busyMs }),
    listen,
    onEnd: (actorId, incarnation, mayRestart) => freeOwned(`${actorId}/${incarnation}`, mayRestart),
    startProcess: (spec, processOptions) =>
      spec.isolation === 'thread' ? threadHost.start(processOptions) : startActorProcess(processOptions),
  });
  supervisor.nodeAddress = address;
  const countGone = countGoneNodes(registry);
  const peers =
    options.cluster === undefined
      ? null
      : new RegistryPeers({
          ...{ nodeId, log, transport: pool, registry: options.cluster },
          ttlMs: options.nodeTtlMs ?? NODE_TTL_MS,
          onGone(goneId, cause) {
            countGone(cause);
            objects.dropCopies(goneId);
          },
          onLost(reason) {
            threadHost.forget();
            objects.dropCopies();
            void cluster.abandon(`the node lost its lease (${reason.message})`);
          },
          onRestored: () =>
            void cluster.announceAgain().catch((thrown: unknown) => {
              log.error('actors were not taken up again', { error: thrown });
            }),
        });
  const cluster: Cluster = new Cluster({
    nodeId,
    address,
    metricsAddress,
    labels: options.labels ?? {},
    total,
    log,
    supervisor,
    peers,
    entryRoots: [distRoot(), ...(options.entryRoots ?? [])],
  });
  const drained = new AbortController();
  const threadHost = new ThreadHost(ownNodeApi(cluster), pool, nodeId);
  dispatcher.addService(
    nodeService,
    nodeHandlers(cluster, supervisor, heartbeatMs, () => drained.abort()),
  );
  dispatcher.addService(eventService, eventHandlers(events));
  const objects = openNodeStore({
    nodeId,
    address,
    pool,
    registry,
    runDir,
    capacityBytes: options.objectBytes,
  });
  const freeOwned = (owner: string, mayRestart: boolean) =>
    void objects.ownerEnded(owner, mayRestart).catch((thrown: unknown) => {
      log.error('objects of an ended actor were not freed', { owner, error: thrown });
    });
  dispatcher.addService(objectService, objects.handlers());
  server.expose(objectService);
  server.expose(nodeService);
  if (options.registryStore !== undefined) {
    dispatcher.addService(registryService, registryHandlers(options.registryStore));
    server.expose(registryService);
  }
  server.expose(eventService);
  const stopMetrics = watchNodeMetrics(registry, cluster, {
    node: runDir,
    objects: objects.folder,
    ...options.watchedFolders,
  });

  const node: Node = {
    ...nodeApi(cluster),
    ...{ nodeId, address, events, objects, registry, drained: drained.signal },
    drain: (graceMs) => cluster.drain(graceMs),
    abandon() {
      void cluster.abandon('the node ends at once');
      objects.close();
    },
    async close(graceMs) {
      cluster.close();
      await supervisor.close(graceMs, THREAD_HOST_TYPE);
      await threadHost.close();
      await peers?.close();
      stopMetrics();
      await serving.stop();
      objects.close();
      if (options.events === undefined) await events.close();
    },
  };
  await enterCluster(peers, cluster, node);
  return node;
}

const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** @throws UserError naming the option that cannot be. */
function checkNodeOptions(options: NodeOptions): void {
  const { nodeId, resources = {}, labels = {}, heartbeatMs = 1, nodeTtlMs, objectBytes, port = 0 } = options;
  if (typeof options.runDir !== 'string' || options.runDir === '')
    throw new UserError(`Node, runDir = ${shown(options.runDir)}: name a folder.`);
  if (nodeId !== undefined && (typeof nodeId !== 'string' || !NODE_ID.test(nodeId)))
    throw new UserError(`Node id '${shown(nodeId)}': use 1 to 63 letters, digits, '-' and '_'.`);
  checkResources('Node', resources);
  checkLabels('Node', labels);
  checkWhole('Node, heartbeatMs', heartbeatMs, 1);
  if (options.busyMs !== undefined) checkWhole('Node, busyMs', options.busyMs, 1);
  if (nodeTtlMs !== undefined) checkWhole('Node, nodeTtlMs', nodeTtlMs, 1);
  if (objectBytes !== undefined) checkWhole('Node, objectBytes', objectBytes, 0);
  checkWhole('Node, port', port, 0);
  if (port > 65_535) throw new UserError(`Node, port = ${port}: the largest port is 65535.`);
}

/** Enters the cluster; a node that cannot is closed. */
async function enterCluster(peers: RegistryPeers | null, cluster: Cluster, node: Node): Promise<void> {
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
