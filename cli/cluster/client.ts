/** A running cluster as the commands see it, through any one of its nodes. */
import { CallError, type StatusName } from '../../actors/base/call-errors.ts';
import { ChannelPool } from '../../actors/calls/channels.ts';
import type { EventBus } from '../../actors/control/event-bus.ts';
import { remoteEventBus } from '../../actors/control/event-service.ts';
import { nodeStatusFromMessage, statusFromMessage } from '../../actors/status/messages.ts';
import { connectNode } from '../../actors/system/node-client.ts';
import { nodeService, objectService } from '../../actors/proto/runtime-services.ts';
import type { ActorStatus, NodeApi, NodeStatus } from '../../actors/status/status.ts';
import { serviceCalls } from '../../actors/calls/transport.ts';
import { UserError } from '../../common/errors.ts';
import type { ObjectRow } from './tables.ts';

const DEADLINE_MS = 5000;
/** Time that a drained node may take beyond its actors' grace period. */
const DRAIN_MARGIN_MS = 10_000;
/** No answer came, or none in time. */
const AWAY: readonly StatusName[] = ['UNAVAILABLE', 'DEADLINE_EXCEEDED'];
const KINDS = {
  OBJECT_KIND_UNSPECIFIED: 'primary',
  OBJECT_KIND_PRIMARY: 'primary',
  OBJECT_KIND_SECONDARY: 'secondary',
  OBJECT_KIND_SPILLED: 'spilled',
} as const;

export interface ClusterObjects {
  readonly objects: readonly ObjectRow[];
  /** Nodes that did not answer. */
  readonly silent: readonly NodeStatus[];
}

export class ClusterClient {
  readonly address: string;
  readonly node: NodeApi;
  readonly events: EventBus;
  readonly #pool = new ChannelPool();

  constructor(address: string) {
    this.address = address;
    this.node = connectNode(this.#pool, address);
    this.events = remoteEventBus(this.#pool, address);
  }

  async nodes(): Promise<readonly NodeStatus[]> {
    const calls = serviceCalls(nodeService, this.#pool, this.address);
    const { nodes } = await calls.listNodes({}, { deadlineMs: DEADLINE_MS });
    return nodes.map(nodeStatusFromMessage);
  }

  /** Actors in order of age. */
  async actors(): Promise<readonly ActorStatus[]> {
    const calls = serviceCalls(nodeService, this.#pool, this.address);
    const { actors } = await calls.listActors({}, { deadlineMs: DEADLINE_MS });
    return actors.map(statusFromMessage).sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  }

  /** @throws UserError when the cluster knows no such actor. */
  async actor(actorId: string): Promise<ActorStatus> {
    const found = (await this.actors()).find((actor) => actor.actorId === actorId);
    if (found !== undefined) return found;
    throw new UserError(`No actor '${actorId}' here; \`ballast actors\` lists them`);
  }

  /** The contents of every node. */
  async objects(): Promise<ClusterObjects> {
    const nodes = await this.nodes();
    const lists = await Promise.allSettled(nodes.map((node) => this.#objectsOf(node)));
    const objects = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
    return { objects, silent: nodes.filter((_node, index) => lists[index]?.status === 'rejected') };
  }

  /** Drains a node, named by id or address. @throws UserError when there is none. */
  async drain(name: string, graceMs: number): Promise<NodeStatus> {
    const nodes = await this.nodes();
    const node = nodes.find(({ nodeId, address }) => nodeId === name || address === name);
    if (node === undefined) {
      const known = nodes.map(({ nodeId }) => nodeId).join(', ');
      throw new UserError(`No node '${name}' in this cluster; it has ${known}`);
    }
    const deadlineMs = graceMs + DRAIN_MARGIN_MS;
    await serviceCalls(nodeService, this.#pool, node.address).drain({ graceMs }, { deadlineMs });
    return node;
  }

  close(): void {
    this.#pool.close();
  }

  async #objectsOf({ nodeId, address }: NodeStatus): Promise<ObjectRow[]> {
    const calls = serviceCalls(objectService, this.#pool, address);
    const { objects } = await calls.listObjects({}, { deadlineMs: DEADLINE_MS });
    return objects.map((object) => ({ ...object, nodeId, kind: KINDS[object.kind] }));
  }
}

/** Why a call failed, without what gRPC says around it. */
export function plainReason({ message }: Error): string {
  return /Last error: (?:Error: )?(.*?)\.? Resolution note/.exec(message)?.[1] ?? message;
}

/** Does `work` with a cluster. @throws UserError when the node cannot be reached, or refuses. */
export async function withCluster(
  address: string,
  work: (cluster: ClusterClient) => Promise<void>,
): Promise<void> {
  const cluster = new ClusterClient(address);
  try {
    await work(cluster);
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    const what = AWAY.includes(thrown.code) ? `Node ${address} cannot be reached` : `Node ${address} refuses`;
    throw new UserError(`${what}: ${plainReason(thrown)}`, { cause: thrown });
  } finally {
    cluster.close();
  }
}
