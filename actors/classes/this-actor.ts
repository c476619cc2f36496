/** The actor whose code is running, for methods of class actors: no global, so that tests can make instances by hand. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { UserError } from '../../common/errors.ts';
import type { ActorRuntime } from '../actor/hosted-actor.ts';
import type { CallContext } from '../calls/call.ts';
import type { ClassRuntime } from './class-runtime.ts';

/** What a method of a class actor can ask for. */
export interface ThisActor extends Omit<ActorRuntime, 'args' | 'system' | 'saveState'> {
  /** To spawn and call other actors, and for objects. */
  readonly ballast: ClassRuntime;
  /** The call that is being answered; null while the actor is made or ends. */
  readonly call: CallContext | null;
}

export const actorScope = new AsyncLocalStorage<ThisActor>();

/** The actor that runs this code. @throws UserError outside of one. */
export function thisActor(): ThisActor {
  const scope = actorScope.getStore();
  if (scope === undefined) throw new UserError('thisActor() has no actor here: call it in a method of one.');
  return scope;
}
