/** A node in another process, as actors see their own. */

import type { ChannelPool } from './channels.ts';
import { serviceCalls } from './channels.ts';
import { nodeService, specToMessage, statusFromMessage } from './runtime-services.ts';
import type { NodeApi } from './status.ts';
import { DEFAULT_GRACE_MS } from './supervisor.ts';

/** Time that the node may take beyond an actor's own grace period. */
const STOP_MARGIN_MS = 10_000;

/** The node at `address` (host:port). */
export function connectNode(pool: ChannelPool, address: string): NodeApi {
  const calls = serviceCalls(nodeService, pool, address);
  return {
    async spawn(spec) {
      const { status } = await calls.spawn({ spec: specToMessage(spec) });
      return statusFromMessage(status);
    },
    async stop(actorId, graceMs = DEFAULT_GRACE_MS) {
      await calls.stop({ actorId, graceMs }, { deadlineMs: graceMs + STOP_MARGIN_MS });
    },
    async kill(actorId) {
      await calls.kill({ actorId });
    },
    async list() {
      const { actors } = await calls.listActors({});
      return actors.map(statusFromMessage);
    },
    async *watch(signal) {
      try {
        for await (const { status } of calls.watchActors({}, { signal, deadlineMs: Infinity })) {
          yield statusFromMessage(status);
        }
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
    },
  };
}
