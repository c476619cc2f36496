/** An actor as the node knows it that it was started through, its home. */

import { initialStatus } from '../supervisor/supervised.ts';
import type { ActorSpec, ActorStatus } from '../status/status.ts';

/** Actors that start together, as each of them knows them. */
export interface StartsTogether {
  /** Whether its members wait for each other. */
  readonly isTogether: boolean;
  tryPlace(): Promise<void>;
  /** A member serves. */
  born(actorId: string): void;
  end(reason: string): void;
}

export interface Home {
  readonly spec: ActorSpec;
  /** The node that has it; null while none has. */
  nodeId: string | null;
  /** While no node has it, and after. */
  status: ActorStatus;
  /** How its last process ended, when it moves. */
  movedBecause: string | null;
  savedState: unknown;
  readonly movesMs: number[];
  isStopped: boolean;
  /** Those that it starts with, until all have. */
  gang: StartsTogether | null;
}

/** Of an actor that no node has; `status` says what was known of it, if anything was. */
export function newHome(spec: ActorSpec, status = initialStatus(spec, 1), savedState: unknown = null): Home {
  return {
    ...{ spec, status, savedState, nodeId: status.nodeId },
    movedBecause: null,
    movesMs: [],
    isStopped: false,
    gang: null,
  };
}
