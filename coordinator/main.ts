/** The coordinator's process. */
import { serveActor } from '../actors/serve.ts';
import { coordinatorType } from './crew/actor-types.ts';
import { coordinatorHandlers } from './handler.ts';

/** Resolves once the actor is registered. */
export const main = serveActor({
  service: coordinatorType.service,
  start: (runtime) => ({ handlers: coordinatorHandlers(runtime) }),
});
