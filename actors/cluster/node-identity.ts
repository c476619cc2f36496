/** Node ids are unique in a cluster: a newcomer must not replace a living node. */

import { UserError } from '../../common/errors.ts';
import { ChannelPool } from '../calls/channels.ts';
import { NODES } from './registry-peers.ts';
import type { Registry } from '../control/registry.ts';
import { nodeService } from '../proto/runtime-services.ts';
import type { NodeStatus } from '../status/status.ts';
import { serviceCalls } from '../calls/transport.ts';

const ASK_DEADLINE_MS = 2000;

/**
 * @throws UserError when a node with this id is registered and answers; one that does not answer may be replaced.
 * CallError when the registry cannot be reached.
 */
export async function refuseTakenId(registry: Registry, nodeId: string): Promise<void> {
  const entry = await registry.get(NODES + nodeId);
  if (entry === null) return;
  const { address, pid } = entry.value as unknown as NodeStatus;
  if (!(await answers(address, nodeId))) return;
  throw new UserError(
    `Node id '${nodeId}' is taken by the node at ${address} (process ${pid}): choose another, or end that node first.`,
  );
}

async function answers(address: string, nodeId: string): Promise<boolean> {
  const pool = new ChannelPool();
  try {
    const { nodes } = await serviceCalls(nodeService, pool, address).listNodes(
      {},
      { deadlineMs: ASK_DEADLINE_MS },
    );
    return nodes.some((node) => node.nodeId === nodeId && node.address === address);
  } catch {
    return false; // its process is gone; its entry stays until the lease expires
  } finally {
    pool.close();
  }
}
