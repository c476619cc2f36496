/** The coordinator's process. */
import { serveActor } from '../actors/serve.ts';
import { coordinatorType } from './crew/actor-types.ts';
import { coordinatorHandlers } from './handler.ts';

await serveActor({
  service: coordinatorType.service,
  start: (runtime) => ({ handlers: coordinatorHandlers(runtime) }),
});
