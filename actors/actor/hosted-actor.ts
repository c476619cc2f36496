/** What an actor is given and gives back, in whichever process or thread it lives. */

import type { Registry } from 'prom-client';
import type { Log } from '../../common/log.ts';
import type { Restart } from '../status/actor-environment.ts';
import type { Mailbox } from '../base/mailbox.ts';
import type { CallContext } from '../calls/call.ts';
import type { EventBus } from '../control/event-bus.ts';
import type { ObjectStore } from '../objects/objects.ts';
import type { Implementation, Service } from '../proto/protos.ts';
import type { ActorSystem } from '../system/system.ts';

/** What an actor is given. */
export interface ActorRuntime {
  readonly actorId: string;
  readonly incarnation: number;
  /** As given to `spawn`; the actor validates it. */
  readonly args: unknown;
  readonly runDir: string;
  readonly log: Log;
  /** Where the actor registers metrics of its own (`ballast_…`). */
  readonly registry: Registry;
  readonly objects: ObjectStore;
  /** To spawn and call other actors. */
  readonly system: ActorSystem;
  readonly events: EventBus;
  /** Aborted when the actor begins to end. */
  readonly signal: AbortSignal;
  /**
   * Keeps a JSON value of at most 2 MiB for the actor's next incarnation (`onRestart`); resolves when it is stored.
   * @throws UserError for what is no JSON value, or too large.
   */
  saveState(state: unknown): Promise<void>;
}

/** What an actor gives back. */
export interface StartedActor<Handlers> {
  readonly handlers: Implementation<Handlers, CallContext>;
  /** Methods, by name, whose calls wait for each other only. */
  readonly mailboxes?: ReadonlyMap<string, Mailbox>;
  /** Called before the first call of every incarnation but the first. */
  onRestart?(restart: Restart): Promise<void> | void;
  /** Cleans up before a clean end; a killed process never gets here. */
  onStop?(): Promise<void> | void;
}

export interface ServeOptions<Client, Handlers> {
  readonly service: Service<Client, Handlers>;
  /** Makes the actor. A `UserError` from here ends it for good; other errors leave it to the restart policy. */
  start(runtime: ActorRuntime): Promise<StartedActor<Handlers>> | StartedActor<Handlers>;
  /** Most bytes that it keeps of objects put and got; 64 MiB by default. */
  readonly objectCacheBytes?: number;
}
