/** The inputs and outputs of an actor, in a process or a thread. */

import type { Registry } from 'prom-client';
import type { Log } from '../../common/log.ts';
import type { Restart } from '../status/actor-environment.ts';
import type { Mailbox } from '../base/mailbox.ts';
import type { CallContext } from '../calls/call.ts';
import type { EventBus } from '../control/event-bus.ts';
import type { ObjectStore } from '../objects/objects.ts';
import type { Implementation, Service } from '../proto/protos.ts';
import type { ActorSystem } from '../system/system.ts';

/** The context passed to an actor's `start`. */
export interface ActorRuntime {
  readonly actorId: string;
  readonly incarnation: number;
  /** As passed to `spawn`; the actor validates it. */
  readonly args: unknown;
  readonly runDir: string;
  readonly log: Log;
  /** Registry for the actor's own metrics (`ballast_…`). */
  readonly registry: Registry;
  readonly objects: ObjectStore;
  /** Spawns and calls other actors. */
  readonly system: ActorSystem;
  readonly events: EventBus;
  /** Aborted when the actor starts to shut down. */
  readonly signal: AbortSignal;
  /**
   * Keeps a JSON value of at most 2 MiB for the actor's next incarnation (`onRestart`); resolves once it is stored.
   * @throws UserError if it is not a JSON value, or too large.
   */
  saveState(state: unknown): Promise<void>;
}

/** The result of `start`: the actor's handlers and hooks. */
export interface StartedActor<Handlers> {
  readonly handlers: Implementation<Handlers, CallContext>;
  /** Groups of methods by name; calls within a group wait only for each other. */
  readonly mailboxes?: ReadonlyMap<string, Mailbox>;
  /** Called before the first call of every incarnation except the first. */
  onRestart?(restart: Restart): Promise<void> | void;
  /** Cleans up before a clean shutdown; not called when the process is killed. */
  onStop?(): Promise<void> | void;
}

export interface ServeOptions<Client, Handlers> {
  readonly service: Service<Client, Handlers>;
  /** Creates the actor. A `UserError` ends the actor permanently; the restart policy handles other errors. */
  start(runtime: ActorRuntime): Promise<StartedActor<Handlers>> | StartedActor<Handlers>;
  /** Maximum bytes of objects that the process caches; 64 MiB by default. */
  readonly objectCacheBytes?: number;
}
