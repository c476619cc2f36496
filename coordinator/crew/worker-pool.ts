/**
 * Diffusion workers for all runs: as many as fit on each node that has the labels asked for. Nodes that join get theirs;
 * those of a node that drains get nothing new, hand over what they have made, and are ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lackingLabels } from '../../actors/cluster/placement.ts';
import type { ActorStatus, Labels, NodeStatus, Resources } from '../../actors/status/status.ts';
import type { ActorSystem } from '../../actors/system/system.ts';
import { toError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { actorLink } from './actor-link.ts';
import { workerType } from './actor-types.ts';
import { endLeftovers, spawnOwn, WORKER_RESTARTS } from './crew-node.ts';
import type { SharedWorkers } from './shared-workers.ts';

/** How often the nodes are looked at. */
const LOOK_MS = 500;
/** Wait before a node on which a worker died permanently gets another. */
const PENALTY_MS = 30_000;

export interface WorkerPoolOptions {
  readonly system: ActorSystem;
  readonly shared: SharedWorkers;
  readonly log: Log;
  /** Labels of the nodes that workers run on. */
  readonly labels: Labels;
  /** The resources that a worker takes. */
  readonly resources: Resources;
  /** The actor type to start as a worker; `workerType` by default. */
  readonly type?: typeof workerType;
}

interface PoolWorker {
  readonly actorId: string;
  readonly nodeId: string;
  isLeaving: boolean;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #workers = new Map<string, PoolWorker>();
  /** When a node may get workers again, by node. */
  readonly #penalties = new Map<string, number>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> = Promise.resolve();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Begins to fill the nodes. */
  start(): void {
    this.#looking = this.#look();
  }

  /** Ends all workers. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
    await Promise.all([...this.#workers.values()].map((worker) => this.#end(worker)));
  }

  async #look(): Promise<void> {
    const { system, log } = this.#options;
    const { signal } = this.#stopping;
    const isPooled = ({ actorId, type }: ActorStatus) =>
      type === workerType.name && actorId.startsWith(`${workerType.name}-`);
    await endLeftovers(system, isPooled).catch((thrown: unknown) => {
      log.warn('workers that an earlier coordinator left were not ended', { error: thrown });
    });
    for (let trouble = ''; !signal.aborted;) {
      try {
        const nodes = await system.node.listNodes();
        this.#letGo(nodes);
        for (const node of nodes) await this.#fill(node);
        trouble = '';
      } catch (thrown) {
        const { message } = toError(thrown);
        if (message !== trouble) log.warn('the worker pool was not adapted to the nodes', { error: thrown });
        trouble = message;
      }
      await sleep(LOOK_MS, null, { signal }).catch(() => undefined);
    }
  }

  /** Releases workers that died permanently, and those of nodes that are draining or gone. */
  #letGo(nodes: readonly NodeStatus[]): void {
    const states = new Map(nodes.map(({ nodeId, state }) => [nodeId, state]));
    for (const worker of this.#workers.values()) {
      if (worker.isLeaving) continue;
      const status = this.#options.system.status(worker.actorId);
      const node = states.get(worker.nodeId);
      if (status?.state === 'dead') {
        this.#options.log.warn('a diffusion worker is dead', { ...worker, reason: status.reason });
        this.#penalties.set(worker.nodeId, Date.now() + PENALTY_MS);
        this.#options.shared.remove(worker.actorId);
        void this.#end(worker);
      } else if (node === 'draining') void this.#drain(worker);
      else if (node !== 'alive') {
        this.#options.shared.remove(worker.actorId);
        void this.#end(worker);
      }
    }
  }

  async #drain(worker: PoolWorker): Promise<void> {
    worker.isLeaving = true;
    this.#options.log.info('a diffusion worker hands over', { ...worker });
    await this.#options.shared.drain(worker.actorId);
    await this.#end(worker);
  }

  async #end(worker: PoolWorker): Promise<void> {
    worker.isLeaving = true;
    try {
      await this.#options.system.stop(worker.actorId);
    } catch (thrown) {
      this.#options.log.warn('a diffusion worker could not be ended', { ...worker, error: thrown });
    }
    this.#options.shared.remove(worker.actorId);
    this.#workers.delete(worker.actorId);
  }

  async #fill(node: NodeStatus): Promise<void> {
    const { labels, resources } = this.#options;
    if (node.state !== 'alive' || lackingLabels(labels, node.labels).length > 0) return;
    if ((this.#penalties.get(node.nodeId) ?? 0) > Date.now()) return;
    const own = [...this.#workers.values()].filter(({ nodeId }) => nodeId === node.nodeId);
    for (let index = 0, missing = fitting(node.total, resources) - own.length; missing > 0; index++) {
      const actorId = `${workerType.name}-${node.nodeId}-${index}`;
      if (this.#workers.has(actorId)) continue;
      await this.#spawn(actorId, node);
      missing--;
    }
  }

  async #spawn(actorId: string, { nodeId, address }: NodeStatus): Promise<void> {
    const { system, shared, labels, resources, type = workerType } = this.#options;
    this.#workers.set(actorId, { actorId, nodeId, isLeaving: false });
    try {
      const place = { labels, resources, near: address, handsOver: true };
      const handle = await spawnOwn(system, type, { actorId, restart: WORKER_RESTARTS, ...place });
      shared.add(actorLink(system, handle));
    } catch (thrown) {
      this.#workers.delete(actorId);
      throw thrown;
    }
  }
}

/** How many workers a node has room for. */
function fitting(total: Resources, resources: Resources): number {
  const counts = Object.entries(resources).map(([name, amount]) =>
    amount > 0 ? Math.floor((total[name] ?? 0) / amount) : Infinity,
  );
  const least = Math.min(...counts);
  return Number.isFinite(least) ? least : 1;
}
