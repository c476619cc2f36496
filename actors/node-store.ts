/** The object store of a node in this process: where it lies, and its end for actors that have ended. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { ChannelPool } from './channels.ts';
import { NodeObjects } from './node-objects.ts';
import { findPlace } from './shared-memory.ts';
import type { Log } from '../common/log.ts';
import type { NodeApi } from './status.ts';

/** Opens the store of a node that serves at `address`. Its capacity is chosen for the machine unless it is given. */
export function openNodeStore(options: {
  readonly address: string;
  readonly pool: ChannelPool;
  readonly registry: Registry;
  readonly runDir: string;
  readonly capacityBytes?: number | undefined;
}): NodeObjects {
  const { runDir, capacityBytes: wantedBytes, ...rest } = options;
  const spill = join(runDir, 'objects');
  const { root, capacityBytes } = findPlace(spill, wantedBytes);
  const nodeId = randomBytes(6).toString('hex');
  return new NodeObjects({ ...rest, nodeId, dirs: { memory: root, spill }, capacityBytes });
}

/** Frees what actors' processes owned as they end, until the node ends. */
export async function freeWithActors(
  store: Pick<NodeObjects, 'ownerEnded'>,
  node: Pick<NodeApi, 'watch'>,
  log: Log,
): Promise<void> {
  for await (const { actorId, incarnation, state, pid } of node.watch(new AbortController().signal)) {
    const hasEnded = pid === null && (state === 'restarting' || state === 'dead');
    if (!hasEnded) continue;
    // Not awaited: other nodes may take their time, the next owner's end does not wait for them.
    store.ownerEnded(`${actorId}/${incarnation}`).catch((thrown: unknown) => {
      log.error('objects of an ended actor were not freed', { actorId, incarnation, error: thrown });
    });
  }
}
