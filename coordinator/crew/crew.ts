/**
 * The actors of a run as the loop sees them: typed handles, and whether their processes live. Small, so that tests
 * drive the real loop with handlers in memory; `crew-node.ts` builds it on a node.
 */
import { onAbort } from '../../common/abort.ts';
import type { Calls } from '../../actors/proto/protos.ts';
import { toError, UserError } from '../../common/errors.ts';
import type { ClassifierTrainerServiceClient } from '../../gen/ballast/v1/ClassifierTrainerService.ts';
import type { DiffusionWorkerServiceClient } from '../../gen/ballast/v1/DiffusionWorkerService.ts';
import type { ObjectRef__Output } from '../../gen/ballast/v1/ObjectRef.ts';

export type TrainerHandle = Calls<ClassifierTrainerServiceClient>;
export type WorkerHandle = Calls<DiffusionWorkerServiceClient>;

/** An actor's life-cycle state; `dead` is permanent. */
export interface LinkStatus {
  readonly state: 'pending' | 'alive' | 'restarting' | 'dead';
  /** Number of its process, from 1. */
  readonly incarnation: number;
  /** Why it is in this state, for people. */
  readonly reason: string;
  /** The user's mistake that ended it, in words for the user; null for every other cause. */
  readonly mistake?: string | null;
}

/** An actor that another owner keeps alive. */
export interface ActorLink<Handle> {
  readonly name: string;
  /** Reaches the process that runs at the moment. */
  readonly handle: Handle;
  status(): LinkStatus;
  /** Calls the listener at each change, until the returned function is called. */
  onStatus(listener: (status: LinkStatus) => void): () => void;
}

/** The makers of a run's images: its own workers, or a share of the workers of all runs. */
export interface WorkerSource {
  /** Those that are known now; none for methods that make no images. */
  list(): readonly ActorLink<WorkerHandle>[];
  /** Calls the listener with each that comes later, until the returned function is called. */
  onJoined(listener: (worker: ActorLink<WorkerHandle>) => void): () => void;
  /** Null where the run has them for itself. */
  readonly share: WorkerShare | null;
}

/** A run's turn at workers that other runs want too. */
export interface WorkerShare {
  /** Shards that wait for a worker now. */
  want(shards: number): void;
  /** The worker for a shard of this many images; undefined while others come first, or no worker has room. */
  take(images: number): string | undefined;
  /** A taken worker is done with its shard, well or not. */
  made(worker: string): void;
  /**
   * The trainer holds a taken worker's shard, or nobody needs it any more. Called once for each `take`, after `made`.
   */
  settled(worker: string): void;
  /** Calls the listener when `take` may succeed, until the returned function is called; the run then wants nothing. */
  onRoom(listener: () => void): () => void;
}

/** Workers that one run has for itself, all from the beginning. */
export function ownWorkers(workers: readonly ActorLink<WorkerHandle>[]): WorkerSource {
  return { list: () => workers, onJoined: () => () => undefined, share: null };
}

export interface Crew {
  readonly trainer: ActorLink<TrainerHandle>;
  readonly workers: WorkerSource;
  /** Lets a holder free an object that is no longer needed. Never throws. */
  release(object: ObjectRef__Output): void;
}

/** The trainer's process died; the epoch has to be done again. */
export class TrainerLost extends Error {
  override readonly name = 'TrainerLost';
}

/**
 * Resolves with the status once the actor is alive. Rejects when it has died permanently, or with the signal's reason.
 */
export function whenAlive<Handle>(link: ActorLink<Handle>, signal: AbortSignal): Promise<LinkStatus> {
  return when(link, signal, (status) => {
    if (status.state === 'dead') throw deadError(link.name, status);
    return status.state === 'alive';
  });
}

/** Resolves with the first status (the present one included) for which `accept` is true; rejects when it throws. */
export function when<Handle>(
  link: ActorLink<Handle>,
  signal: AbortSignal,
  accept: (status: LinkStatus) => boolean,
): Promise<LinkStatus> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      for (const stop of stops) stop();
      settle();
    };
    const check = (status: LinkStatus) => {
      try {
        if (accept(status)) finish(() => resolve(status));
      } catch (thrown) {
        finish(() => reject(toError(thrown)));
      }
    };
    const stops = [link.onStatus(check)];
    stops.push(onAbort(signal, () => finish(() => reject(toError(signal.reason)))));
    if (!signal.aborted) check(link.status());
  });
}

/** The error for an actor that will not come back. */
export function deadError(name: string, { reason, mistake }: LinkStatus): Error {
  return mistake ? new UserError(mistake) : new Error(`${name} is dead: ${reason}`);
}
