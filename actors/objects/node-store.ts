/** Opens the object store of a node in this process, in the right place for the machine. */

import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { ChannelPool } from '../calls/channels.ts';
import { NodeObjects } from './node-objects.ts';
import { findPlace } from './shared-memory.ts';

/** Opens the store of the node `nodeId` that serves at `address`. Its capacity suits the machine unless it is given. */
export function openNodeStore(options: {
  readonly nodeId: string;
  readonly address: string;
  readonly pool: ChannelPool;
  readonly registry: Registry;
  readonly runDir: string;
  readonly capacityBytes?: number | undefined;
}): NodeObjects {
  const { runDir, capacityBytes: wantedBytes, ...rest } = options;
  const spill = join(runDir, 'objects');
  const { root, capacityBytes } = findPlace(spill, wantedBytes);
  return new NodeObjects({ ...rest, dirs: { memory: root, spill }, capacityBytes });
}
