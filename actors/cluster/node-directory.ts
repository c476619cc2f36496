/** The other nodes of a cluster, and the actors on them. */

import type { ActorSpec, ActorStatus, NodeApi, NodeStatus } from '../status/status.ts';
import type { Claim } from '../supervisor/node-room.ts';
import type { Arrival } from '../supervisor/supervisor.ts';

/** How a node left: it said so, it fell silent, or another process took its id. */
export type GoneCause = 'left' | 'lost' | 'replaced';

/** A detached actor whose home is lost, and which this node now looks after. */
export interface DetachedActor {
  readonly spec: ActorSpec;
  /** Its last known status. */
  readonly last: ActorStatus | undefined;
  readonly savedState: unknown;
}

export interface NodeDirectory {
  nodes(): readonly NodeStatus[];
  /** Resolves when every node that has joined is among `nodes`, also one that joined a moment ago; or soon after, when it cannot be. */
  catchUp(): Promise<void>;
  actors(): readonly ActorStatus[];
  actor(actorId: string): ActorStatus | undefined;
  /** The last state that an actor on another node saved. */
  savedState(actorId: string): unknown;
  nodeOf(actorId: string): NodeApi | null;
  /** Starts an actor on another node. @throws CallError when it refuses, or cannot be reached. */
  place(nodeId: string, spec: ActorSpec, arrival: Omit<Arrival, 'entry'>): Promise<void>;
  /**
   * Records another node's answer that one of its actors has ended, which may arrive long before its stream says so.
   */
  noteEnd(actorId: string): void;
  /**
   * Holds room on another node; 0 milliseconds releases it. @throws CallError when it has none, or cannot be reached.
   */
  claim(nodeId: string, claims: readonly Claim[], holdMs: number): Promise<void>;
  /** Reserves the actor's name in the whole cluster, if it has one. @throws CallError ALREADY_EXISTS */
  claimName(spec: ActorSpec): Promise<void>;
  releaseName(spec: ActorSpec): void;
  /** Announces this node's status to the others. */
  announce(own: NodeStatus): void;
  /** Lets a new actor outlive this node. */
  enterDetached(spec: ActorSpec): Promise<void>;
  /** Registers it again if the registry lost it. False when another node looks after it by now. */
  keepDetached(spec: ActorSpec): Promise<boolean>;
  forgetDetached(actorId: string): Promise<void>;
  /** Takes over the detached actors of a lost node, except those that another node took. */
  takeDetached(fromNodeId: string): Promise<DetachedActor[]>;
  onActor(listener: (status: ActorStatus) => void): void;
  /** `because` says why a node is lost. */
  onNode(listener: (node: NodeStatus, because: string | null) => void): void;
}
