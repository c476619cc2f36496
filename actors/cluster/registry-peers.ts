/**
 * The other nodes of a cluster, found through its registry: each announces itself under a lease, and every node follows
 * every other node's actors on a stream. A node that is no longer in the registry is lost, whatever its stream says.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../common/log.ts';
import type { WatchNodeResponse__Output } from '../../gen/ballast/runtime/v1/WatchNodeResponse.ts';
import { Announcer } from '../control/announcer.ts';
import { CallError } from '../base/call-errors.ts';
import { LatestDead } from '../status/latest-dead.ts';
import { nodeStatusFromMessage, specToMessage, statusFromMessage } from '../status/messages.ts';
import { connectNode } from '../system/node-client.ts';
import type { DetachedActor, GoneCause, NodeDirectory } from './node-directory.ts';
import type { Claim } from '../supervisor/node-room.ts';
import type { Registry, RegistryChange } from '../control/registry.ts';
import { minus } from '../status/resources.ts';
import { retryDelayMs } from '../base/retry.ts';
import { nodeService } from '../proto/runtime-services.ts';
import type { ActorSpec, ActorStatus, NodeApi, NodeStatus } from '../status/status.ts';
import type { Arrival } from '../supervisor/supervisor.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';

export interface RegistryPeersOptions {
  readonly nodeId: string;
  readonly registry: Registry;
  readonly transport: Transport;
  readonly log: Log;
  /** How long a silent node counts as alive. */
  readonly ttlMs: number;
  /** This node's lease is lost: others may take over its actors. */
  readonly onLost: (reason: Error) => void;
  readonly onRestored: () => void;
  /** Another node has left. */
  readonly onGone: (nodeId: string, cause: GoneCause) => void;
}

export const NODE_TTL_MS = 10_000;
const PLACE_DEADLINE_MS = 10_000;
/** A listed node that the watch does not show by then may have left again. */
const CATCH_UP_MS = 3000;
const CATCH_UP_POLL_MS = 20;
export const NODES = 'nodes/';
const DETACHED = 'detached/';
const GONE: Readonly<Record<GoneCause, string>> = {
  left: 'it left',
  lost: 'its lease expired',
  replaced: 'another process took its place',
};

interface Peer {
  status: NodeStatus;
  /** Ends the stream. */
  readonly leaving: AbortController;
  readonly api: NodeApi;
}

interface KnownActor {
  readonly status: ActorStatus;
  readonly savedState: unknown;
}

export class RegistryPeers implements NodeDirectory {
  readonly #options: RegistryPeersOptions;
  readonly #announcer: Announcer;
  readonly #closing = new AbortController();
  readonly #peers = new Map<string, Peer>();
  readonly #actors = new Map<string, KnownActor>();
  readonly #dead = new LatestDead();
  readonly #watching: Promise<void>;
  #onActor: (status: ActorStatus) => void = () => undefined;
  #onNode: (node: NodeStatus, because: string | null) => void = () => undefined;

  constructor(options: RegistryPeersOptions) {
    this.#options = options;
    const { registry, nodeId, ttlMs, onLost, onRestored, log } = options;
    this.#announcer = new Announcer({
      registry,
      name: `node/${nodeId}`,
      ttlMs,
      onLost: (reason) => {
        log.error('this node lost its lease', { error: reason });
        onLost(reason);
      },
      onRestored,
    });
    this.#watching = this.#watch().catch((thrown: unknown) =>
      log.error('the registry cannot be watched', { error: thrown }),
    );
  }

  /** Resolves when the others can see this node. */
  async joined(signal: AbortSignal): Promise<void> {
    await this.#announcer.announced(signal);
  }

  nodes(): readonly NodeStatus[] {
    return [...this.#peers.values()].map(({ status }) => status);
  }

  async catchUp(): Promise<void> {
    const { registry, nodeId: ownId } = this.#options;
    const endMs = performance.now() + CATCH_UP_MS;
    const entries = await registry.list(NODES).catch(() => []);
    const ids = entries.map(({ key }) => key.slice(NODES.length)).filter((nodeId) => nodeId !== ownId);
    // Only the watch adds nodes: it alone will tell of their end.
    while (performance.now() < endMs && !ids.every((nodeId) => this.#peers.has(nodeId)))
      await delay(CATCH_UP_POLL_MS);
  }

  actors(): readonly ActorStatus[] {
    return [...this.#actors.values()].map(({ status }) => status);
  }

  actor(actorId: string): ActorStatus | undefined {
    return this.#actors.get(actorId)?.status;
  }

  savedState(actorId: string): unknown {
    return this.#actors.get(actorId)?.savedState ?? null;
  }

  nodeOf(actorId: string): NodeApi | null {
    const nodeId = this.#actors.get(actorId)?.status.nodeId ?? null;
    return nodeId === null ? null : (this.#peers.get(nodeId)?.api ?? null);
  }

  async place(nodeId: string, spec: ActorSpec, arrival: Omit<Arrival, 'entry'>): Promise<void> {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) throw new Error(`no node ${nodeId}`);
    const calls = serviceCalls(nodeService, this.#options.transport, peer.status.address);
    // Until the node reports it itself: the next choice must count its resources.
    const before = peer.status;
    const { free, actors } = before;
    const expected = { ...before, free: minus(free, spec.resources), actors: actors + 1 };
    peer.status = expected;
    const placing = calls.place(
      {
        spec: specToMessage(spec),
        firstIncarnation: arrival.firstIncarnation,
        movedBecause: arrival.movedBecause ?? '',
        stateJson: arrival.savedState === null ? '' : JSON.stringify(arrival.savedState),
        homeNodeId: arrival.homeNodeId,
      },
      { deadlineMs: PLACE_DEADLINE_MS },
    );
    const { status } = await placing.catch((thrown: unknown) => {
      if (peer.status === expected) peer.status = before;
      throw thrown;
    });
    this.#learn(statusFromMessage(status), arrival.savedState);
  }

  noteEnd(actorId: string): void {
    const known = this.#actors.get(actorId);
    if (known === undefined || known.status.state === 'dead') return;
    this.#learn({ ...known.status, state: 'dead', reason: 'stopped', pid: null }, known.savedState);
  }

  async claim(nodeId: string, claims: readonly Claim[], holdMs: number): Promise<void> {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) throw new CallError('UNAVAILABLE', `no node ${nodeId}`);
    const calls = serviceCalls(nodeService, this.#options.transport, peer.status.address);
    const message = claims.map(({ actorId, resources }) => ({ actorId, resources: { ...resources } }));
    await calls.claim({ claims: message, holdMs }, { deadlineMs: PLACE_DEADLINE_MS });
  }

  async claimName({ name, namespace, actorId }: ActorSpec): Promise<void> {
    if (name === null) return;
    const key = nameKey(namespace, name);
    // An actor that had the name may have ended a moment ago; if its entry cannot be removed, `create` says why.
    await this.#announcer.removed(key, AbortSignal.timeout(PLACE_DEADLINE_MS)).catch(() => undefined);
    const { lease } = this.#announcer;
    await this.#options.registry.create(key, { actorId }, lease === null ? {} : { lease });
    this.#announcer.set(key, { actorId });
  }

  releaseName({ name, namespace }: ActorSpec): void {
    if (name !== null) this.#announcer.unset(nameKey(namespace, name));
  }

  announce(own: NodeStatus): void {
    const lasting = Object.entries(own).filter(([field]) => field !== 'free' && field !== 'actors');
    this.#announcer.set(NODES + own.nodeId, Object.fromEntries(lasting));
  }

  async enterDetached(spec: ActorSpec): Promise<void> {
    const { registry, nodeId } = this.#options;
    await registry.put(DETACHED + spec.actorId, { spec, homeNodeId: nodeId });
  }

  async keepDetached(spec: ActorSpec): Promise<boolean> {
    const { registry, nodeId } = this.#options;
    const present = await registry.get(DETACHED + spec.actorId);
    if (present === null) await this.enterDetached(spec);
    return present === null || present.value['homeNodeId'] === nodeId;
  }

  async forgetDetached(actorId: string): Promise<void> {
    const { registry, nodeId } = this.#options;
    const present = await registry.get(DETACHED + actorId);
    if (present?.value['homeNodeId'] !== nodeId) return; // gone, or another node's
    await registry.remove(present.key, { revision: present.revision });
  }

  async takeDetached(fromNodeId: string): Promise<DetachedActor[]> {
    const { registry, nodeId } = this.#options;
    const known = new Map(this.#actors); // the lost node's actors are forgotten meanwhile
    const taken: DetachedActor[] = [];
    for (const { key, value, revision } of await registry.list(DETACHED)) {
      if (value.homeNodeId !== fromNodeId) continue;
      const spec = value.spec as ActorSpec;
      const isMine = await registry.update(key, { spec, homeNodeId: nodeId }, revision).then(
        () => true,
        () => false, // another node was faster
      );
      const last = known.get(spec.actorId);
      if (isMine) taken.push({ spec, last: last?.status, savedState: last?.savedState ?? null });
    }
    return taken;
  }

  onActor(listener: (status: ActorStatus) => void): void {
    this.#onActor = listener;
  }

  onNode(listener: (node: NodeStatus, because: string | null) => void): void {
    this.#onNode = listener;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { leaving } of this.#peers.values()) leaving.abort();
    await this.#announcer.close();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    for await (const change of this.#options.registry.watch(NODES, signal)) this.#onChange(change);
  }

  #onChange(change: RegistryChange): void {
    switch (change.type) {
      case 'put':
        return this.#meet(change.entry.value as unknown as NodeStatus);
      case 'removed':
        return this.#lose(change.key.slice(NODES.length), 'left');
      case 'expired':
        return this.#lose(change.key.slice(NODES.length), 'lost');
      case 'synced':
        return;
      default:
        change satisfies never;
    }
  }

  #meet(announced: NodeStatus): void {
    const { nodeId, address } = announced;
    if (nodeId === this.#options.nodeId) return;
    const known = this.#peers.get(nodeId);
    if (known !== undefined && known.status.startedAt === announced.startedAt) {
      known.status = { ...known.status, ...announced };
      this.#onNode(known.status, null);
      return;
    }
    if (known !== undefined) this.#lose(nodeId, 'replaced');
    const peer: Peer = {
      status: { ...announced, free: announced.total, actors: 0 },
      leaving: new AbortController(),
      api: connectNode(this.#options.transport, address),
    };
    this.#peers.set(nodeId, peer);
    this.#onNode(peer.status, null);
    void this.#follow(peer);
  }

  #lose(nodeId: string, cause: GoneCause): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    const because = GONE[cause];
    this.#options.onGone(nodeId, cause);
    peer.leaving.abort();
    this.#peers.delete(nodeId);
    this.#options.transport.drop(peer.status.address);
    this.#options.log.warn('a node is gone', { nodeId, because });
    this.#onNode({ ...peer.status, state: 'lost', reason: because }, because);
    for (const [actorId, { status }] of this.#actors)
      if (status.nodeId === nodeId) this.#actors.delete(actorId);
  }

  /**
   * Follows a node's actors until it is lost; restarts the stream if it breaks before. It does not use ActorDirectory, which
   * treats a node that does not answer as gone: here only the registry decides, and the stream also carries nodes and kept
   * states.
   */
  async #follow(peer: Peer): Promise<void> {
    const { signal } = peer.leaving;
    const calls = serviceCalls(nodeService, this.#options.transport, peer.status.address);
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        for await (const change of calls.watchNode({}, { signal, deadlineMs: Infinity })) {
          attempt = 0;
          this.#onPeerChange(peer, change);
        }
      } catch (thrown) {
        if (signal.aborted) return;
        this.#options.log.debug('the stream of a node broke', { nodeId: peer.status.nodeId, error: thrown });
      }
      await delay(retryDelayMs(attempt + 1, Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }

  #onPeerChange(peer: Peer, { node, actor, stateJson }: WatchNodeResponse__Output): void {
    if (node !== null) {
      peer.status = nodeStatusFromMessage(node);
      this.#onNode(peer.status, null);
    }
    if (actor !== null) {
      this.#learn(statusFromMessage(actor), stateJson === '' ? null : (JSON.parse(stateJson) as unknown));
    }
  }

  /** Ignores a status older than the known one; dead actors stay dead. */
  #learn(status: ActorStatus, savedState: unknown): void {
    const known = this.#actors.get(status.actorId)?.status;
    const isPast =
      known !== undefined &&
      (known.incarnation > status.incarnation ||
        (known.incarnation === status.incarnation && known.state === 'dead' && status.state !== 'dead'));
    if (isPast) return;
    this.#actors.set(status.actorId, { status, savedState: status.state === 'dead' ? null : savedState });
    const forgotten = this.#dead.note(status);
    if (forgotten !== null) this.#actors.delete(forgotten);
    this.#onActor(status);
  }
}

function nameKey(namespace: string, name: string): string {
  return `names/${namespace}/${name}`;
}
