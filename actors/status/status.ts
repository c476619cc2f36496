/** Descriptions of actors and nodes for people and programs, as plain values. */

import type { MailboxLimits } from '../base/mailbox.ts';

export type ActorState = 'pending' | 'alive' | 'restarting' | 'dead';

/** How often, and how soon, a dead actor starts again. */
export interface RestartPolicy {
  /** Restarts allowed within the window; 0 = never restart. */
  readonly maxRestarts: number;
  readonly windowMs: number;
  /** Wait before the first restart of a window; doubles with each further one. */
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
}

export const DEFAULT_RESTART_POLICY: RestartPolicy = {
  maxRestarts: 3,
  windowMs: 600_000,
  initialBackoffMs: 200,
  maxBackoffMs: 10_000,
};

/**
 * Where an actor runs: in its own process, or in a thread of a process that the node's light actors share. A bundle runs
 * nowhere: it holds room on its node for actors.
 */
export type Isolation = (typeof ISOLATIONS)[number];
const ISOLATIONS = ['process', 'thread', 'none'] as const;
/** The party that ends an actor: its owner, by ending, or nobody. */
export type Lifetime = (typeof LIFETIMES)[number];
const LIFETIMES = ['owner', 'detached'] as const;
/** Which of several nodes takes an actor: the fullest that has room, or the emptiest. */
export type PlacementStrategy = (typeof PLACEMENT_STRATEGIES)[number];
const PLACEMENT_STRATEGIES = ['pack', 'spread'] as const;
/** How the bundles of a placement group lie to each other; the strict ones wait where the others make do. */
export type GroupStrategy = (typeof GROUP_STRATEGIES)[number];
const GROUP_STRATEGIES = [...PLACEMENT_STRATEGIES, 'strict-pack', 'strict-spread'] as const;

export const isIsolation = isOneOf(ISOLATIONS);
export const isLifetime = isOneOf(LIFETIMES);
export const isPlacementStrategy = isOneOf(PLACEMENT_STRATEGIES);
export const isGroupStrategy = isOneOf(GROUP_STRATEGIES);

function isOneOf<Choice extends string>(choices: readonly Choice[]): (value: unknown) => value is Choice {
  return (value): value is Choice => (choices as readonly unknown[]).includes(value);
}

/** Amounts by resource: `cpu` (cores), `gpu` (cards), `memoryBytes`, or any name that nodes offer. */
export type Resources = Readonly<Record<string, number>>;
export type Labels = Readonly<Record<string, string>>;

/** Maximum size of an actor's arguments as JSON, bytes. */
export const MAX_ARGS_BYTES = 1024 * 1024;
/**
 * Maximum size of a detached actor's whole description as JSON, bytes: it is stored in the registry, in an entry of 64
 * KiB.
 */
export const MAX_DETACHED_BYTES = 60 * 1024;
/**
 * Maximum size of an actor's kept state as JSON, bytes; it travels beside the arguments in one message of at most 4
 * MiB.
 */
export const MAX_STATE_BYTES = 2 * 1024 * 1024;

/** Default time between SIGTERM and SIGKILL, milliseconds. */
export const DEFAULT_GRACE_MS = 5000;

/** An actor to start. */
export interface ActorSpec {
  /** Unique in the cluster: letters, digits, `-`, `_`. */
  readonly actorId: string;
  /** As `diffusion-worker`. */
  readonly type: string;
  /** Built entry module, relative to the package's dist folder (or absolute, inside one of the node's roots). */
  readonly entry: string;
  readonly serviceName: string;
  /** JSON value that the actor reads as `runtime.args`; at most MAX_ARGS_BYTES, less if it is detached. */
  readonly args: unknown;
  /** Added to the node's own environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly restart: RestartPolicy;
  /** Unique in its namespace; null for none. */
  readonly name: string | null;
  readonly namespace: string;
  readonly resources: Resources;
  /** Labels that its node must have. */
  readonly labels: Labels;
  /** Of a bundle: the strategy of its group. */
  readonly placement: GroupStrategy;
  /** The placement group that it is a bundle of; null for an actor. */
  readonly group: string | null;
  /** Id of the bundle whose room it takes; null for none. */
  readonly bundle: string | null;
  /** host:port of the preferred node if there is room (where an object is held); null for any. */
  readonly near: string | null;
  readonly lifetime: Lifetime;
  /** Its spawner, as `actor/incarnation`; null for a program that is not an actor. */
  readonly owner: string | null;
  readonly mailbox: MailboxLimits;
  readonly isolation: Isolation;
  /**
   * When its node drains, its owner ends it, once its results are taken over; the node's SIGTERM comes only late in the
   * grace period.
   */
  readonly handsOver: boolean;
}

/** The reason of a healthy actor. */
export const SERVING = 'serving';
/** Why a bundle is. */
export const HOLDS_ROOM = 'holds room';

/** The reason of an actor that is alive but unresponsive: methods that have held its thread since a time, ISO 8601. */
export function busyReason(methods: readonly string[], since: string): string {
  const what = methods.map((path) => path.slice(1)).join(', ');
  return `busy${what === '' ? '' : ` with ${what}`} since ${since}, and answers nothing else meanwhile`;
}

export interface ActorStatus {
  readonly actorId: string;
  readonly type: string;
  readonly serviceName: string;
  /** Number of its process, from 1; each restart adds one. */
  readonly incarnation: number;
  /** Null while no process exists. */
  readonly pid: number | null;
  /** host:port of its gRPC server; null unless alive. */
  readonly address: string | null;
  /** host:port (and path) of its /metrics; null unless alive. */
  readonly metricsAddress: string | null;
  readonly state: ActorState;
  /** The reason for this state, for people. */
  readonly reason: string;
  /** How its last process ended; both null before that. */
  readonly exitCode: number | null;
  readonly exitSignal: string | null;
  /** Last lines that the dead process wrote. */
  readonly lastLogLines: readonly string[];
  /** The node that it is on; null while none has room. */
  readonly nodeId: string | null;
  readonly name: string | null;
  readonly namespace: string;
  readonly isolation: Isolation;
  /** The placement group that it is a bundle of; null for an actor. */
  readonly group: string | null;
  /** Id of the bundle whose room it takes; null for none. */
  readonly bundle: string | null;
  /** Resources that it holds on its node, or in its bundle. */
  readonly resources: Resources;
  /** Graphics cards assigned to it. */
  readonly gpuIds: readonly number[];
  readonly owner: string | null;
  readonly lifetime: Lifetime;
  /** When it was accepted, ISO 8601. */
  readonly createdAt: string;
}

export type NodeState = 'alive' | 'draining' | 'lost';

export interface NodeStatus {
  readonly nodeId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  /** host:port of its /metrics; null for none. */
  readonly metricsAddress: string | null;
  readonly labels: Labels;
  readonly total: Resources;
  readonly free: Resources;
  readonly state: NodeState;
  /** The reason for this state, for people. */
  readonly reason: string;
  /** Actors on it that are not dead. */
  readonly actors: number;
  /** When it started, ISO 8601. */
  readonly startedAt: string;
  readonly pid: number;
}

/** A node as its users see it, in the node's own process or through gRPC: access to the actors of the whole cluster. */
export interface NodeApi {
  /**
   * Accepts an actor and starts it where there is room, now or later. @throws UserError for an invalid entry, id or
   * name, and for resources that no node of the cluster could ever provide, saying what each lacks; CallError
   * ALREADY_EXISTS when a living actor has the id or name.
   */
  spawn(spec: ActorSpec): Promise<ActorStatus>;
  /** Accepts actors that start together or not at all; returns statuses in their order. @throws as `spawn` */
  spawnGang(specs: readonly ActorSpec[]): Promise<readonly ActorStatus[]>;
  /** Ends an actor: SIGTERM, then SIGKILL after `graceMs`. Resolves when its process is gone. */
  stop(actorId: string, graceMs?: number): Promise<void>;
  /** SIGKILLs an actor's process; the restart policy decides what follows. */
  kill(actorId: string): Promise<void>;
  /** Ends an actor's process cleanly and starts the next one, whatever the restart policy. */
  restart(actorId: string, reason: string): Promise<void>;
  list(): Promise<readonly ActorStatus[]>;
  /** The status of every actor, then every change, until the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<ActorStatus>;
  listNodes(): Promise<readonly NodeStatus[]>;
  /** The last lines of an actor's log, then new ones if requested. */
  readLog(actorId: string, options: LogOptions, signal: AbortSignal): AsyncIterable<readonly string[]>;
}

export interface LogOptions {
  readonly lastLines: number;
  readonly follow: boolean;
}
