/** The crew of a run as actors of a node: starts the trainer and the workers, follows their lives, and ends them. */
import type { ActorRuntime } from '../../actors/actor/hosted-actor.ts';
import { CallError } from '../../actors/base/call-errors.ts';
import type { ActorStatus, RestartPolicy } from '../../actors/status/status.ts';
import type { ActorSystem } from '../../actors/system/system.ts';
import type { ActorType, SpawnOptions } from '../../actors/system/actor-type.ts';
import type { ActorHandle } from '../../actors/system/handle.ts';
import { type RunConfig, synthesizes } from '../../config/run-config.ts';
import { actorLink } from './actor-link.ts';
import { trainerType, workerType } from './actor-types.ts';
import { type Crew, ownWorkers, type WorkerSource } from './crew.ts';

/** Where the crew of a run lives in a cluster; what a coordinator is given as its arguments. */
export interface CrewPlace {
  /** Begins the ids of the run's actors. */
  readonly prefix: string;
  /** Labels of the run's own node, which has its folder and data; workers may be anywhere. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface SpawnedCrew extends Crew {
  /** Ends every actor of the crew that can be reached. Never throws: a run is done, whether or not its actors have ended. */
  stop(): Promise<void>;
}

/** The arguments of a crew's start. */
export type CrewRuntime = Pick<ActorRuntime, 'system' | 'objects' | 'log'>;

const TRAINER_ID = 'classifier-trainer';
export const WORKER_RESTARTS: Partial<RestartPolicy> = { maxRestarts: 20 };
const TRAINER_RESTARTS: Partial<RestartPolicy> = { maxRestarts: 10 };

/** Ends the living actors that an earlier coordinator left. */
export async function endLeftovers(
  system: ActorSystem,
  isMeant: (status: ActorStatus) => boolean,
): Promise<void> {
  const left = (await system.node.list()).filter((status) => status.state !== 'dead' && isMeant(status));
  await Promise.all(left.map(({ actorId }) => system.stop(actorId)));
}

/** Tries to replace an actor that has the id. */
const MAX_REPLACEMENTS = 5;

/**
 * Spawns an actor under an id that nobody else uses. A living actor with that id is a leftover that was out of sight
 * before, because its node was cut off; it is ended first. @throws as ActorSystem.spawn
 */
export async function spawnOwn<Client, Handlers>(
  system: ActorSystem,
  type: ActorType<Client, Handlers>,
  options: SpawnOptions & { readonly actorId: string },
): Promise<ActorHandle<Client>> {
  for (let tries = 1; ; tries++) {
    try {
      return await system.spawn(type, options);
    } catch (thrown) {
      const isTaken = thrown instanceof CallError && thrown.code === 'ALREADY_EXISTS';
      if (!isTaken || tries > MAX_REPLACEMENTS) throw thrown;
      await system.stop(options.actorId);
    }
  }
}

/**
 * Starts the actors that the configuration needs: a trainer, and workers, unless the run has a share of those of all
 * runs. Actors of these names that an earlier coordinator left are ended.
 */
export async function spawnCrew(
  config: RunConfig,
  place: CrewPlace | null,
  runtime: CrewRuntime,
  shared: WorkerSource | null = null,
): Promise<SpawnedCrew> {
  const { system, objects, log } = runtime;
  const prefix = place?.prefix ?? '';
  const trainerId = prefix + TRAINER_ID;
  const workerIds = Array.from(
    { length: synthesizes(config) && shared === null ? config.workers : 0 },
    (_, i) => `${prefix}${workerType.name}-${i}`,
  );
  const ids = [trainerId, ...workerIds];
  await endLeftovers(system, ({ actorId }) => ids.includes(actorId));
  const args = { engine: config.engine, threads: config.threads };
  const trainer = await spawnOwn(system, trainerType, {
    actorId: trainerId,
    args,
    restart: TRAINER_RESTARTS,
    labels: place?.labels ?? {},
  });
  // In a cluster workers take cores that are free, wherever; alone, the machine's owner has chosen their number.
  const where: SpawnOptions =
    place === null ? {} : { placement: 'spread', resources: { cpu: config.threads } };
  const workers = await Promise.all(
    workerIds.map((actorId) =>
      spawnOwn(system, workerType, { actorId, args, restart: WORKER_RESTARTS, ...where }),
    ),
  );
  return {
    trainer: actorLink(system, trainer),
    workers: shared ?? ownWorkers(workers.map((handle) => actorLink(system, handle))),
    release: (object) =>
      void objects.free([object]).catch((thrown: unknown) => {
        log.warn('object not freed', { id: object.id, error: thrown });
      }),
    stop: () => endActors(ids, runtime),
  };
}

/** Ends those that can be reached. */
async function endActors(ids: readonly string[], { system, log }: CrewRuntime): Promise<void> {
  const ending = ids.map((actorId) =>
    system.stop(actorId).catch((thrown: unknown) => {
      log.warn('an actor of the run was not ended; it ends with the node of the run', {
        actorId,
        error: thrown,
      });
    }),
  );
  await Promise.all(ending);
}
