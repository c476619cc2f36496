/** A node in another process, with the same interface as a local one. */

import { messagesUntilAborted } from '../base/limits.ts';
import { nodeStatusFromMessage, specToMessage, statusFromMessage } from '../status/messages.ts';
import { nodeService } from '../proto/runtime-services.ts';
import { DEFAULT_GRACE_MS, type NodeApi } from '../status/status.ts';

import { serviceCalls, type Transport } from '../calls/transport.ts';

/** Time that the node may take in addition to an actor's own grace period. */
const STOP_MARGIN_MS = 10_000;

/** The node at `address` (host:port). */
export function connectNode(transport: Transport, address: string): NodeApi {
  const calls = serviceCalls(nodeService, transport, address);
  return {
    async spawn(spec) {
      const { status } = await calls.spawn({ spec: specToMessage(spec) });
      return statusFromMessage(status);
    },
    async spawnGang(specs) {
      const { statuses } = await calls.spawnGang({ specs: specs.map(specToMessage) });
      return statuses.map(statusFromMessage);
    },
    async stop(actorId, graceMs = DEFAULT_GRACE_MS) {
      await calls.stop({ actorId, graceMs }, { deadlineMs: graceMs + STOP_MARGIN_MS });
    },
    async kill(actorId) {
      await calls.kill({ actorId });
    },
    async restart(actorId, reason) {
      await calls.restart({ actorId, reason });
    },
    async list() {
      const { actors } = await calls.listActors({});
      return actors.map(statusFromMessage);
    },
    async *watch(signal) {
      const changes = calls.watchActors({}, { signal, deadlineMs: Infinity });
      for await (const { status } of messagesUntilAborted(changes, signal)) yield statusFromMessage(status);
    },
    async listNodes() {
      const { nodes } = await calls.listNodes({});
      return nodes.map(nodeStatusFromMessage);
    },
    async *readLog(actorId, options, signal) {
      const parts = calls.readLog({ actorId, ...options }, { signal, deadlineMs: Infinity });
      for await (const { lines } of messagesUntilAborted(parts, signal)) yield lines;
    },
  };
}
