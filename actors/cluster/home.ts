/** An actor as recorded by its home, the node that it was started through. */

import { initialStatus } from '../supervisor/supervised.ts';
import type { ActorSpec, ActorStatus } from '../status/status.ts';

/** Actors that start together, as each of their homes knows them. */
export interface StartsTogether {
  /** Whether its members wait for each other. */
  readonly isTogether: boolean;
  tryPlace(): Promise<void>;
  /** A member serves. */
  born(actorId: string): void;
  end(reason: string): void;
}

export interface Home {
  /** Without its arguments once it is dead. */
  spec: ActorSpec;
  /** The node that has it; null while none does. */
  nodeId: string | null;
  /** Its status while no node has it, and after. */
  status: ActorStatus;
  /** How its last process ended, when it moves. */
  movedBecause: string | null;
  savedState: unknown;
  readonly movesMs: number[];
  isStopped: boolean;
  /** Its gang, until all members have started. */
  gang: StartsTogether | null;
}

/** The kind of group that its members form, in a word. */
export function wholeOf({ group }: Pick<ActorSpec, 'group'>): string {
  return group === null ? 'gang' : 'placement group';
}

/** Creates the record of an actor that is on no node; `status` is its last known status, if any. */
export function newHome(spec: ActorSpec, status = initialStatus(spec, 1), savedState: unknown = null): Home {
  return {
    ...{ spec, status, savedState, nodeId: status.nodeId },
    movedBecause: null,
    movesMs: [],
    isStopped: false,
    gang: null,
  };
}
