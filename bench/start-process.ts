/**
 * Starts a fresh system, spawns an actor and calls it. Prints a line when the system is ready, and another when the
 * actor has answered.
 */
import { ChannelPool } from '../actors/calls/channels.ts';
import { startNode } from '../actors/node/node.ts';
import { ActorSystem } from '../actors/system/system.ts';
import { silentLog } from '../common/log.ts';
import { callType } from './call-service.ts';

const [runDir = '', isolation = 'process'] = process.argv.slice(2);
const node = await startNode({ runDir, log: silentLog });
process.stdout.write('ready\n');
const pool = new ChannelPool();
const system = new ActorSystem({ node, transport: pool });
const actor = await system.spawn(callType, { isolation: isolation === 'thread' ? 'thread' : 'process' });
await actor.call({});
process.stdout.write('answered\n');
await system.close();
await node.close();
pool.close();
