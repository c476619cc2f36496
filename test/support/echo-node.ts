/** A node in the test's own process that runs the test actors (fixtures/actors), and a system to call them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActorSystem, ChannelPool, type Node, silentLog, startNode } from '../../actors/index.ts';
import { FIXTURES } from '../fixtures/actors/echo.ts';

export interface EchoNode {
  readonly folder: string;
  readonly node: Node;
  readonly pool: ChannelPool;
  readonly system: ActorSystem;
  /** Ends everything that runs, and removes the folder. */
  readonly end: () => Promise<void>;
}

export async function startEchoNode(): Promise<EchoNode> {
  const folder = await mkdtemp(join(tmpdir(), 'ballast-actors-'));
  const node = await startNode({ runDir: folder, log: silentLog, entryRoots: [FIXTURES] });
  const pool = new ChannelPool();
  const system = new ActorSystem({ node, transport: pool });
  return {
    ...{ folder, node, pool, system },
    async end() {
      await system.close();
      await node.close();
      pool.close();
      await rm(folder, { recursive: true });
    },
  };
}
