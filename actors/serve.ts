/**
 * The entry point of an actor's main.ts: `await serveActor({ service, start })`. The same program serves in its own
 * process or in a thread, as the spawner chose.
 */

import { isMainThread } from 'node:worker_threads';
import { UserError } from '../common/errors.ts';
import { shown } from './base/checks.ts';
import type { ServeOptions } from './actor/hosted-actor.ts';

/** Runs this process or thread as an actor. Resolves when it is registered; the actor ends by itself later. @throws UserError */
export async function serveActor<Client, Handlers>(options: ServeOptions<Client, Handlers>): Promise<void> {
  const { service, start } = (options ?? {}) as Partial<ServeOptions<Client, Handlers>>;
  if (typeof service?.root !== 'function' || typeof start !== 'function')
    throw new UserError(`serveActor of ${shown(options)}: give it { service, start }.`);
  // Loaded here, so that a thread does not load modules that only a process needs.
  if (isMainThread) await (await import('./actor/actor-main.ts')).serveInProcess(options);
  else await (await import('./threads/thread-guest.ts')).serveInThread(options);
}
