/** Nodes, actors and objects for the page, from the node that works in a run's folder, or from one's own. */
import type { ActorStatus, NodeStatus } from '../../actors/status/status.ts';
import type { ClusterRow, ClusterView } from '../../dashboard/model/cluster-view.ts';
import { ClusterClient } from '../cluster/client.ts';
import { type ObjectRow } from '../cluster/tables.ts';
import { readNodeFile } from '../cluster/node-file.ts';
import { formatBytes, formatFree, formatLabels, formatResources } from '../base/table.ts';

/** Of the run in `dir`; null when no node works there or it does not answer. */
export async function clusterOfFolder(dir: string): Promise<ClusterView | null> {
  let client: ClusterClient | null = null;
  try {
    client = new ClusterClient(await readNodeFile(dir));
    const [nodes, actors, { objects }] = await Promise.all([
      client.nodes(),
      client.actors(),
      client.objects(),
    ]);
    return clusterView(nodes, actors, objects);
  } catch {
    return null;
  } finally {
    client?.close();
  }
}

const MOST_OBJECTS = 200;

export function clusterView(
  nodes: readonly NodeStatus[],
  actors: readonly ActorStatus[],
  objects: readonly ObjectRow[],
): ClusterView {
  return {
    nodes: nodes.map(nodeRow),
    actors: actors.map(actorRow),
    objects: [...objects]
      .sort((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, MOST_OBJECTS)
      .map(objectRow),
  };
}

function nodeRow({ nodeId, address, state, reason, free, total, labels }: NodeStatus): ClusterRow {
  const facts = { address, free: formatFree(free, total), labels: formatLabels(labels) };
  return { name: nodeId, state, reason, facts };
}

function actorRow({ actorId, type, state, reason, pid, incarnation, resources }: ActorStatus): ClusterRow {
  const facts = {
    type,
    pid: pid === null ? '' : String(pid),
    starts: String(incarnation),
    takes: formatResources(resources),
  };
  return { name: actorId, state, reason, facts };
}

function objectRow({ id, kind, sizeBytes, nodeId, owner }: ObjectRow): ClusterRow {
  return { name: id, state: kind, reason: '', facts: { size: formatBytes(sizeBytes), node: nodeId, owner } };
}
