/** A node's own gRPC service, on its cluster view and its supervisor. */

import type { NodeServiceHandlers } from '../../gen/ballast/runtime/v1/NodeService.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { CallContext } from '../calls/call.ts';
import { checkJsonSize } from '../base/json-value.ts';
import { withLinesThatFit } from '../status/listed.ts';
import { MAX_STATE_BYTES } from '../status/status.ts';
import { nodeStatusToMessage, parseJson, specFromMessage, statusToMessage } from '../status/messages.ts';
import type { Implementation } from '../proto/protos.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

type Methods = Implementation<NodeServiceHandlers, CallContext>;
type ForActors = Pick<Methods, 'register' | 'saveState'>;
type ForNodes = Pick<Methods, 'place' | 'claim' | 'watchNode'>;

export function nodeHandlers(
  cluster: Cluster,
  supervisor: Supervisor,
  heartbeatMs: number,
  onDrained: () => void,
): Methods {
  return {
    ...forUsers(cluster, onDrained),
    ...forActors(supervisor, heartbeatMs),
    ...forNodes(cluster, supervisor),
  };
}

/** The cluster's actors and nodes, for programs. */
function forUsers(cluster: Cluster, onDrained: () => void): Omit<Methods, keyof (ForActors & ForNodes)> {
  return {
    async spawn({ spec }) {
      return { status: statusToMessage(await cluster.spawn(specFromMessage(spec))) };
    },
    async spawnGang({ specs }) {
      return { statuses: (await cluster.spawnGang(specs.map(specFromMessage))).map(statusToMessage) };
    },
    stop: ({ actorId, graceMs }) => cluster.stop(actorId, graceMs),
    kill: ({ actorId }) => cluster.kill(actorId),
    restart: ({ actorId, reason }) => cluster.restart(actorId, reason),
    async listActors() {
      return { actors: withLinesThatFit(await cluster.list()).map(statusToMessage) };
    },
    async *watchActors(_request, { signal }) {
      for await (const status of cluster.watch(signal)) yield { status: statusToMessage(status) };
    },
    async listNodes() {
      return { nodes: (await cluster.listNodes()).map(nodeStatusToMessage) };
    },
    async drain({ graceMs }) {
      await cluster.drain(graceMs);
      onDrained();
    },
    async *readLog({ actorId, lastLines, follow }, { signal }) {
      for await (const lines of cluster.readLog(actorId, { lastLines, follow }, signal)) {
        yield { lines: [...lines] };
      }
    },
  };
}

/** Reports of the processes of actors to their node. */
function forActors(supervisor: Supervisor, heartbeatMs: number): ForActors {
  return {
    register({ actorId, incarnation, address, metricsAddress }) {
      supervisor.register(actorId, incarnation, address, metricsAddress);
      return { heartbeatMs };
    },
    saveState({ actorId, incarnation, stateJson }) {
      checkJsonSize(stateJson, `Actor ${actorId}, state`, MAX_STATE_BYTES);
      supervisor.saveState(actorId, incarnation, parseJson(stateJson, 'state_json'));
    },
  };
}

/** Requests of other nodes to this one. */
function forNodes(cluster: Cluster, supervisor: Supervisor): ForNodes {
  return {
    place({ spec, firstIncarnation, movedBecause, stateJson, homeNodeId }) {
      const status = cluster.placeHere(specFromMessage(spec), {
        firstIncarnation,
        movedBecause: movedBecause === '' ? null : movedBecause,
        savedState: stateJson === '' ? null : parseJson(stateJson, 'state_json'),
        homeNodeId,
      });
      return { status: statusToMessage(status) };
    },
    claim: ({ claims, holdMs }) => cluster.claimHere(claims, holdMs),
    async *watchNode(_request, { signal }) {
      for await (const change of cluster.watchLocal(signal)) {
        yield 'nodeId' in change && 'total' in change
          ? { node: nodeStatusToMessage(change) }
          : { actor: statusToMessage(change), stateJson: savedJson(supervisor.savedState(change.actorId)) };
      }
    },
  };
}

function savedJson(state: unknown): string {
  return state === null ? '' : JSON.stringify(state);
}
