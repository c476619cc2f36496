// A node in this process, for the examples; its actors are child processes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActorSystem, ChannelPool, silentLog, startNode } from 'ballast/actors';
import { folder } from './counter-type.mjs';

export async function startLocal(options = {}) {
  const runDir = await mkdtemp(join(tmpdir(), 'ballast-example-'));
  const node = await startNode({ runDir, log: silentLog, entryRoots: [folder], ...options });
  const transport = new ChannelPool();
  const system = new ActorSystem({ node, transport });
  const close = async () => {
    await system.close();
    await node.close();
    transport.close();
    await rm(runDir, { recursive: true });
  };
  return { node, transport, system, close };
}
