/** A supervisor's record of one actor, and its translation into a status. */

import type { ActorProcess, ProcessEnd } from './actor-process.ts';
import { describeDeath } from '../status/restart-policy.ts';
import type { ActorSpec, ActorStatus } from '../status/status.ts';

export const STARTING = 'its process is starting';

export interface Supervised {
  /** Without its arguments once it is dead. */
  spec: ActorSpec;
  readonly entry: string;
  /** The actor's last saved JSON value; null for none. */
  savedState: unknown;
  /** The node that looks after it. */
  readonly homeNodeId: string;
  /** How the previous process ended; null before the first. */
  lastEnd: string | null;
  /** Why a restart was requested; null when none was. */
  restartAsked: string | null;
  status: ActorStatus;
  process: ActorProcess | null;
  restartsMs: number[];
  missedBeats: number;
  /** Whether its status says that it is busy. */
  isBusy: boolean;
  /** Why the node killed the process, if it did. */
  killReason: string | null;
  /** Why it ends here and continues elsewhere; null unless it does. */
  movesBecause: string | null;
  /** Aborted when the actor is to end; the actor's loop then starts nothing more. */
  readonly stopping: AbortController;
  /** Settles at the end of the actor's life. */
  life: Promise<void>;
}

/** The status before its first process has reported. */
export function initialStatus(spec: ActorSpec, incarnation: number): ActorStatus {
  const { actorId, type, serviceName, name, namespace, isolation, resources, owner, lifetime } = spec;
  const { group, bundle } = spec;
  return {
    ...{ actorId, type, serviceName, name, namespace, isolation, resources, owner, lifetime, group, bundle },
    incarnation,
    pid: null,
    address: null,
    metricsAddress: null,
    state: 'pending',
    reason: STARTING,
    exitCode: null,
    exitSignal: null,
    lastLogLines: [],
    nodeId: null,
    gpuIds: [],
    createdAt: new Date().toISOString(),
  };
}

/** The changes caused by the end of its process. */
export function endFacts(end: ProcessEnd): Partial<ActorStatus> {
  const { exitCode, exitSignal, lastLogLines } = end;
  return { pid: null, address: null, metricsAddress: null, exitCode, exitSignal, lastLogLines };
}

/** Why its process ended, for people. */
export function causeOf(actor: Supervised, end: ProcessEnd): string {
  if (end.startError !== null) return `could not be started: ${end.startError.message}`;
  return describeDeath(end) + (actor.killReason === null ? '' : ` (${actor.killReason})`);
}
