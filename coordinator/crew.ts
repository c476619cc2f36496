/**
 * The actors of a run as the loop sees them: typed handles, and whether their processes live. Small, so that tests
 * drive the real loop with handlers in memory; `crew-node.ts` builds it on a node.
 */
import type { Calls } from '../actors/protos.ts';
import { toError, UserError } from '../common/errors.ts';
import type { ClassifierTrainerServiceClient } from '../gen/ballast/v1/ClassifierTrainerService.ts';
import type { DiffusionWorkerServiceClient } from '../gen/ballast/v1/DiffusionWorkerService.ts';
import type { ObjectRef__Output } from '../gen/ballast/v1/ObjectRef.ts';

export type TrainerHandle = Calls<ClassifierTrainerServiceClient>;
export type WorkerHandle = Calls<DiffusionWorkerServiceClient>;

/** Where an actor is in its life; `dead` is for good. */
export interface LinkStatus {
  readonly state: 'pending' | 'alive' | 'restarting' | 'dead';
  /** Number of its process, from 1. */
  readonly incarnation: number;
  /** Why it is in this state, for people. */
  readonly reason: string;
  /** The user's mistake that ended it, in words for the user; null for every other cause. */
  readonly mistake?: string | null;
}

/** An actor that somebody else keeps alive. */
export interface ActorLink<Handle> {
  readonly name: string;
  /** Reaches the living process, whichever it is. */
  readonly handle: Handle;
  status(): LinkStatus;
  /** Calls the listener at each change, until the returned function is called. */
  onStatus(listener: (status: LinkStatus) => void): () => void;
}

export interface Crew {
  readonly trainer: ActorLink<TrainerHandle>;
  /** Empty for methods that make no images. */
  readonly workers: readonly ActorLink<WorkerHandle>[];
  /** Lets a holder forget an object that nobody needs any more. Never throws. */
  release(object: ObjectRef__Output): void;
}

/** The trainer's process died; the epoch has to be done again. */
export class TrainerLost extends Error {
  override readonly name = 'TrainerLost';
}

/** Resolves with the status once the actor is alive. Rejects when it is dead for good, or with the signal's reason. */
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
      stop();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const check = (status: LinkStatus) => {
      try {
        if (accept(status)) finish(() => resolve(status));
      } catch (thrown) {
        finish(() => reject(toError(thrown)));
      }
    };
    const onAbort = () => finish(() => reject(toError(signal.reason)));
    const stop = link.onStatus(check);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else check(link.status());
  });
}

/** The error for an actor that will not come back. */
export function deadError(name: string, { reason, mistake }: LinkStatus): Error {
  return mistake ? new UserError(mistake) : new Error(`${name} is dead: ${reason}`);
}
