/**
 * An actor in its own process. On SIGTERM it stops taking calls, aborts those in progress, lets the actor clean up and
 * exits with 0. It also ends when its node is gone, so no process is left behind.
 */

import { UserError } from '../../common/errors.ts';
import { createLog } from '../../common/log.ts';
import { readActorEnvironment } from '../status/actor-environment.ts';
import type { ActorEnvironment } from '../status/actor-environment.ts';
import { ActorLife } from './actor-life.ts';
import type { ActorRuntime, ServeOptions, StartedActor } from './hosted-actor.ts';
import { killFamily, whenNodeIsGone } from './node-link.ts';
import { startLiveness } from './liveness.ts';
import { Activity } from '../base/activity.ts';
import { EXIT_USER_ERROR } from '../status/restart-policy.ts';
import { ServingProcess } from '../serving/serving-process.ts';

/** Time for `onStop` when the node is gone and nobody waits for this process. */
const ORPHAN_GRACE_MS = 1000;

/** As ServeOptions; the runtime's own actors also get their process. */
export interface ProcessOptions<Client, Handlers> extends Omit<ServeOptions<Client, Handlers>, 'start'> {
  start(
    runtime: ActorRuntime,
    serving: ServingProcess,
  ): Promise<StartedActor<Handlers>> | StartedActor<Handlers>;
}

/** Runs this process as an actor. Resolves once it is registered. */
export async function serveInProcess<Client, Handlers>(
  options: ProcessOptions<Client, Handlers>,
): Promise<void> {
  process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole process group; the node decides what to do
  let log = createLog();
  try {
    const environment = readActorEnvironment();
    log = log.with({ actor: environment.actorId, incarnation: environment.incarnation });
    await serve(environment, options, log);
  } catch (thrown) {
    const isUserError = thrown instanceof UserError;
    if (isUserError) log.error(thrown.message);
    else log.error('the actor could not start', { error: thrown });
    process.exit(isUserError ? EXIT_USER_ERROR : 1);
  }
}

async function serve<Client, Handlers>(
  environment: ActorEnvironment,
  options: ProcessOptions<Client, Handlers>,
  log: ReturnType<typeof createLog>,
): Promise<void> {
  const { actorId, type } = environment;
  const activity = new Activity();
  const serving = await ServingProcess.start({
    activity,
    labels: { actor: actorId, type },
    log,
    ...environment.listen,
  });
  const { address, pool, registry, dispatcher } = serving;
  const beatEvery = startLiveness(activity); // also ends a process whose actor never finishes starting
  const life = new ActorLife<Client, Handlers>({
    environment,
    log,
    registry,
    transport: pool,
    dispatcher,
    address,
    beatEvery,
  });
  endOnRequest(life, serving);
  const { service } = options;
  await life.start({ ...options, start: (runtime) => options.start(runtime, serving) });
  serving.server.expose(service);
  serving.servedServices.add(service.name);
  if (!life.isStopping) await life.register(serving.metricsAddress);
}

/** Ends the actor and this process on SIGTERM, and when the node is gone. */
function endOnRequest<Client, Handlers>(
  life: ActorLife<Client, Handlers>,
  { server, pool }: ServingProcess,
): void {
  let isOrphaned = false;
  async function end(reason: string): Promise<void> {
    if (life.isStopping) return;
    life.abort(reason);
    await server.stop();
    const exitCode = await life.end();
    pool.close();
    if (isOrphaned) killFamily();
    process.exit(exitCode);
  }
  /** Interrupts whatever a worker thread is doing. */
  async function endOrphaned(): Promise<void> {
    isOrphaned = true;
    setTimeout(killFamily, ORPHAN_GRACE_MS);
    await end('the node is gone');
  }
  process.on('SIGTERM', () => void end('SIGTERM'));
  whenNodeIsGone(() => void endOrphaned());
}
