/** A node's actors as metrics: how many in each state, and restarts. */

import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { NodeApi } from './status.ts';

/** Follows the node's actors until the returned function is called. */
export function watchNodeMetrics(registry: Registry, node: NodeApi): () => void {
  new Gauge({
    name: 'ballast_actors',
    help: 'Actors by type and state',
    labelNames: ['type', 'state'],
    registers: [registry],
    async collect() {
      this.reset();
      for (const { type, state } of await node.list()) this.inc({ type, state });
    },
  });
  const restarts = new Counter({
    name: 'ballast_actor_restarts_total',
    help: 'Restarts by actor type and how the process ended',
    labelNames: ['type', 'cause'],
    registers: [registry],
  });
  const controller = new AbortController();
  void countRestarts(restarts, node, controller.signal);
  return () => controller.abort();
}

async function countRestarts(
  restarts: Counter<'type' | 'cause'>,
  node: NodeApi,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<string, number>();
  for await (const status of node.watch(signal)) {
    const { actorId, incarnation, type, exitCode, exitSignal } = status;
    if (incarnation > (seen.get(actorId) ?? 1)) {
      restarts.inc({ type, cause: exitSignal ?? (exitCode === null ? 'not started' : `exit ${exitCode}`) });
    }
    seen.set(actorId, incarnation);
  }
}
