/**
 * The actor whose code is running, for methods of class actors. It is not a global, so tests can construct instances by
 * hand.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { UserError } from '../../common/errors.ts';
import type { ActorRuntime } from '../actor/hosted-actor.ts';
import type { CallContext } from '../calls/call.ts';
import type { ClassRuntime } from './class-runtime.ts';

/** The context that a method of a class actor can ask for. */
export interface ThisActor extends Omit<ActorRuntime, 'args' | 'system' | 'saveState'> {
  /** Spawns and calls other actors, and keeps objects. */
  readonly ballast: ClassRuntime;
  /** The call that is being answered; null while the actor starts or stops. */
  readonly call: CallContext | null;
}

export const actorScope = new AsyncLocalStorage<ThisActor>();

/** The actor that runs this code. @throws UserError outside an actor. */
export function thisActor(): ThisActor {
  const scope = actorScope.getStore();
  if (scope === undefined)
    throw new UserError('thisActor() was called outside an actor: call it in a method of one.');
  return scope;
}
