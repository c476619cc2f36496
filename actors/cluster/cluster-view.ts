/**
 * A node's knowledge of the nodes and actors of its cluster: its own, those of its peers, and those that are on no
 * node.
 */

import type { Home } from './home.ts';
import type { NodeDirectory } from './node-directory.ts';
import type { ActorStatus, NodeStatus } from '../status/status.ts';
import { StatusFeed } from '../status/status-feed.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

export interface ClusterViewOptions {
  readonly ownStatus: () => NodeStatus;
  readonly supervisor: Supervisor;
  readonly peers: NodeDirectory | null;
  readonly homes: ReadonlyMap<string, Home>;
}

/** Dead actors whose ids are remembered, though most of them are no longer listed. */
const KEPT_IDS = 20_000;

export class ClusterView {
  readonly #options: ClusterViewOptions;
  /** Last incarnations of dead actors. */
  readonly #ended = new Map<string, number>();
  readonly #feed = new StatusFeed();

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  /** Their current state: nothing may be awaited between a choice and taking the resources. */
  nodes(): NodeStatus[] {
    const { ownStatus, peers } = this.#options;
    return [ownStatus(), ...(peers?.nodes() ?? [])].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  actors(): ActorStatus[] {
    const { supervisor, peers, homes } = this.#options;
    const waiting = [...homes.values()].filter(({ nodeId }) => nodeId === null).map(({ status }) => status);
    const newest = new Map<string, ActorStatus>();
    for (const status of [...supervisor.list(), ...(peers?.actors() ?? []), ...waiting]) {
      const known = newest.get(status.actorId);
      if (known === undefined || known.incarnation <= status.incarnation) newest.set(status.actorId, status);
    }
    return [...newest.values()];
  }

  find(actorId: string): ActorStatus | undefined {
    const { supervisor, peers, homes } = this.#options;
    const home = homes.get(actorId);
    if (home !== undefined && home.nodeId === null) return home.status;
    return newer(supervisor.get(actorId), peers?.actor(actorId));
  }

  /** The number of an actor's last process, also if the actor is forgotten; 0 if there was none. */
  lastIncarnation(actorId: string): number {
    return this.find(actorId)?.incarnation ?? this.#ended.get(actorId) ?? 0;
  }

  /** Notifies every watcher. */
  publish(status: ActorStatus): void {
    this.#ended.delete(status.actorId);
    if (status.state === 'dead') this.#ended.set(status.actorId, status.incarnation);
    if (this.#ended.size > KEPT_IDS) this.#ended.delete(this.#ended.keys().next().value!);
    this.#feed.tell(status);
  }

  /** Every actor, then every change. */
  watch(signal: AbortSignal): AsyncIterable<ActorStatus> {
    return this.#feed.watch(() => this.actors(), signal);
  }

  close(): void {
    this.#feed.close();
  }
}

/** Resolves two statuses of one actor: the later incarnation wins; for equal ones, this node's own. */
export function newer(own: ActorStatus | undefined, other: ActorStatus | undefined): ActorStatus | undefined {
  if (own === undefined || other === undefined) return own ?? other;
  return own.incarnation >= other.incarnation ? own : other;
}
