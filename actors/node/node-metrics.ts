/**
 * Prometheus metrics of a node and of its view of the cluster. Every node of a cluster sees the same actors and nodes:
 * aggregate over nodes with `max`, never with `sum`.
 */

import { statfsSync } from 'node:fs';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { packageVersion } from '../../common/package-root.ts';
import type { GoneCause } from '../cluster/node-directory.ts';
import type { NodeApi, NodeStatus } from '../status/status.ts';

/** Causes of death that exist as zeros before the first restart, so that an increase is visible. */
const USUAL_CAUSES = ['SIGKILL', 'SIGABRT', 'SIGSEGV', 'exit 1'];

/** The measured parts: the node itself, and its connection to the cluster. */
export interface MeasuredNode extends Pick<NodeApi, 'list' | 'listNodes' | 'watch'> {
  readonly ownStatus: NodeStatus;
}

/**
 * Follows the node and its actors until the returned function is called. `folders` are those that the node writes to,
 * by use.
 */
export function watchNodeMetrics(
  registry: Registry,
  node: MeasuredNode,
  folders: Readonly<Record<string, string>>,
): () => void {
  const registers = [registry];
  new Gauge({
    name: 'ballast_actors',
    help: 'Actors of the cluster by type and state',
    labelNames: ['type', 'state'],
    registers,
    async collect() {
      this.reset();
      for (const { type, state } of await node.list()) this.inc({ type, state });
    },
  });
  new Gauge({
    name: 'ballast_nodes',
    help: 'Nodes of the cluster by state',
    labelNames: ['state'],
    registers,
    async collect() {
      this.reset();
      for (const state of ['alive', 'draining', 'lost'] as const) this.set({ state }, 0);
      for (const { state } of await node.listNodes()) this.inc({ state });
    },
  });
  measureResources(registry, node);
  measureDisks(registry, folders);
  tellBuild(registry);
  const restarts = new Counter({
    name: 'ballast_actor_restarts_total',
    help: 'Restarts in the cluster by actor type and how the process ended',
    labelNames: ['type', 'cause'],
    registers,
  });
  const controller = new AbortController();
  void countRestarts(restarts, node, controller.signal);
  return () => controller.abort();
}

/** A counter of nodes that left the cluster; the returned function increments it. */
export function countGoneNodes(registry: Registry): (cause: GoneCause) => void {
  const gone = new Counter({
    name: 'ballast_nodes_gone_total',
    help: 'Nodes that left the cluster: by themselves, lost, or replaced by one of the same id',
    labelNames: ['cause'],
    registers: [registry],
  });
  for (const cause of ['left', 'lost', 'replaced'] as const) gone.inc({ cause }, 0);
  return (cause) => gone.inc({ cause });
}

function measureResources(registry: Registry, node: MeasuredNode): void {
  const gauge = (name: string, help: string, read: (status: NodeStatus) => NodeStatus['total']) =>
    new Gauge({
      name,
      help,
      labelNames: ['resource'],
      registers: [registry],
      collect() {
        for (const [resource, amount] of Object.entries(read(node.ownStatus))) this.set({ resource }, amount);
      },
    });
  gauge(
    'ballast_node_capacity',
    'Resources that the node offers to actors: cores, bytes, cards',
    ({ total }) => total,
  );
  gauge('ballast_node_free', 'Resources that actors on the node have not taken', ({ free }) => free);
}

/**
 * Folders on one file system report the same values; a folder that does not exist yet, or cannot be examined, reports
 * nothing.
 */
function measureDisks(registry: Registry, folders: Readonly<Record<string, string>>): void {
  const gauge = (name: string, help: string, read: (blocks: { all: number; free: number }) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['folder'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [folder, path] of Object.entries(folders)) {
          try {
            const { blocks, bavail, bsize } = statfsSync(path);
            this.set({ folder }, read({ all: blocks, free: bavail }) * bsize);
          } catch {
            continue;
          }
        }
      },
    });
  gauge('ballast_disk_bytes', 'Size of the file system that holds a folder of the node', ({ all }) => all);
  gauge('ballast_disk_free_bytes', 'Bytes that a folder of the node can still take', ({ free }) => free);
}

function tellBuild(registry: Registry): void {
  new Gauge({
    name: 'ballast_build_info',
    help: 'Always 1; its labels name the versions of Ballast and Node.js that the node runs',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  }).set({ version: packageVersion(), node_version: process.version }, 1);
}

async function countRestarts(
  restarts: Counter<'type' | 'cause'>,
  node: Pick<NodeApi, 'watch'>,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<string, number>();
  const types = new Set<string>();
  for await (const status of node.watch(signal)) {
    const { actorId, incarnation, type, exitCode, exitSignal } = status;
    if (!types.has(type)) for (const cause of USUAL_CAUSES) restarts.inc({ type, cause }, 0);
    types.add(type);
    if (incarnation > (seen.get(actorId) ?? 1)) {
      restarts.inc({ type, cause: exitSignal ?? (exitCode === null ? 'not started' : `exit ${exitCode}`) });
    }
    seen.set(actorId, incarnation);
  }
}
