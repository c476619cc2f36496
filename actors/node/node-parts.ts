/** The parts of a node and the wiring between them: events of one part are passed to the others here. */

import { distRoot } from '../../common/package-root.ts';
import { Cluster, ownNodeApi } from '../cluster/cluster.ts';
import { NODE_TTL_MS, RegistryPeers } from '../cluster/registry-peers.ts';
import type { EventBus } from '../control/event-bus.ts';
import { eventHandlers } from '../control/event-service.ts';
import { registryHandlers } from '../control/registry-service.ts';
import type { NodeObjects } from '../objects/node-objects.ts';
import { openNodeStore } from '../objects/node-store.ts';
import { eventService, nodeService, objectService, registryService } from '../proto/runtime-services.ts';
import type { ServingProcess } from '../serving/serving-process.ts';
import { startActorProcess } from '../supervisor/actor-process.ts';
import { HEARTBEAT_MS, Supervisor } from '../supervisor/supervisor.ts';
import { THREAD_HOST_TYPE, ThreadHost } from '../threads/actor-thread.ts';
import { countGoneNodes, watchNodeMetrics } from './node-metrics.ts';
import type { NodeOptions } from './node-options.ts';
import { detectResources, visibleCards } from './node-resources.ts';
import { nodeHandlers } from './node-service.ts';

export class NodeParts {
  readonly supervisor: Supervisor;
  readonly peers: RegistryPeers | null;
  readonly cluster: Cluster;
  readonly objects: NodeObjects;
  /** Aborted when the node was drained through gRPC. */
  readonly drained = new AbortController();
  readonly #options: NodeOptions;
  readonly #nodeId: string;
  readonly #serving: ServingProcess;
  readonly #threadHost: ThreadHost;
  readonly #stopMetrics: () => void;

  constructor(options: NodeOptions, nodeId: string, serving: ServingProcess) {
    this.#options = options;
    this.#nodeId = nodeId;
    this.#serving = serving;
    const { runDir, log, labels = {}, entryRoots = [], objectBytes: capacityBytes } = options;
    const { registry, pool, address, metricsAddress } = serving;
    const total = { ...detectResources(), ...options.resources };
    this.objects = openNodeStore({ nodeId, address, pool, registry, runDir, capacityBytes }); // peers drop copies there
    this.supervisor = this.#newSupervisor(total);
    this.peers = this.#newPeers();
    this.cluster = new Cluster({
      ...{ nodeId, address, metricsAddress, labels, total, log },
      ...{ supervisor: this.supervisor, peers: this.peers, entryRoots: [distRoot(), ...entryRoots] },
    });
    this.#threadHost = new ThreadHost(ownNodeApi(this.cluster), pool, nodeId);
    this.#stopMetrics = watchNodeMetrics(registry, this.cluster, {
      ...{ node: runDir, objects: this.objects.folder },
      ...options.watchedFolders,
    });
  }

  /** Starts to serve the node's own service, objects, events, and the registry if it offers one. */
  serve(events: EventBus): void {
    const { heartbeatMs = HEARTBEAT_MS, registryStore } = this.#options;
    const { dispatcher, server } = this.#serving;
    const handlers = nodeHandlers(this.cluster, this.supervisor, heartbeatMs, () => this.drained.abort());
    dispatcher.addService(nodeService, handlers);
    dispatcher.addService(eventService, eventHandlers(events));
    dispatcher.addService(objectService, this.objects.handlers());
    for (const service of [objectService, nodeService, eventService]) server.expose(service);
    if (registryStore === undefined) return;
    dispatcher.addService(registryService, registryHandlers(registryStore));
    server.expose(registryService);
  }

  /** Kills every actor and removes the objects at once. */
  abandon(): void {
    void this.cluster.abandon('the node ends at once');
    this.objects.close();
  }

  /** Ends every actor, then the server. */
  async close(graceMs: number | undefined): Promise<void> {
    this.cluster.close();
    await this.supervisor.close(graceMs, THREAD_HOST_TYPE);
    await this.#threadHost.close();
    await this.peers?.close();
    this.#stopMetrics();
    await this.#serving.stop();
    this.objects.close();
  }

  #newSupervisor(total: Readonly<Record<string, number>>): Supervisor {
    const { runDir, log, heartbeatMs = HEARTBEAT_MS, busyMs } = this.#options;
    const supervisor: Supervisor = new Supervisor({
      ...{ nodeId: this.#nodeId, runDir, log, total, heartbeatMs, listen: listenOptions(this.#options) },
      ...(busyMs === undefined ? {} : { busyMs }),
      cards: visibleCards(),
      onEnd: (actorId, incarnation, restartMs) => {
        const { address = null, isolation } = supervisor.get(actorId)!;
        if (address !== null && isolation === 'process') this.#serving.pool.drop(address); // threads share theirs
        this.#freeOwned(`${actorId}/${incarnation}`, restartMs);
      },
      startProcess: (spec, options) =>
        spec.isolation === 'thread' ? this.#threadHost.start(options) : startActorProcess(options),
    });
    supervisor.nodeAddress = this.#serving.address;
    return supervisor;
  }

  #newPeers(): RegistryPeers | null {
    const { log, cluster: clusterRegistry, nodeTtlMs: ttlMs = NODE_TTL_MS } = this.#options;
    const { pool: transport, registry: metrics } = this.#serving;
    const countGone = countGoneNodes(metrics);
    if (clusterRegistry === undefined) return null;
    return new RegistryPeers({
      ...{ nodeId: this.#nodeId, log, transport, registry: clusterRegistry, ttlMs },
      onGone: (goneId, cause) => {
        countGone(cause);
        this.objects.dropCopies(goneId);
      },
      onLost: (reason) => {
        this.#threadHost.forget();
        this.objects.dropCopies();
        void this.cluster.abandon(`the node lost its lease (${reason.message})`);
      },
      onRestored: () =>
        void this.cluster.announceAgain().catch((thrown: unknown) => {
          log.error('actors were not taken up again', { error: thrown });
        }),
    });
  }

  #freeOwned(owner: string, restartMs: number | null): void {
    this.objects.ownerEnded(owner, restartMs).catch((thrown: unknown) => {
      this.#options.log.error('objects of an ended actor were not freed', { owner, error: thrown });
    });
  }
}

/** Where the node, and its actors, listen. */
export function listenOptions({ host, advertisedHost }: NodeOptions) {
  return {
    ...(host === undefined ? {} : { host }),
    ...(advertisedHost === undefined ? {} : { advertisedHost }),
  };
}
