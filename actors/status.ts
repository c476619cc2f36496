/** What people and programs know of actors, as plain values. */

export type ActorState = 'pending' | 'alive' | 'restarting' | 'dead';

/** How often, and how soon, a dead actor is started again. */
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

/** An actor to start. */
export interface ActorSpec {
  /** Unique on the node: letters, digits, `-`, `_`. */
  readonly actorId: string;
  /** As `diffusion-worker`. */
  readonly type: string;
  /** Built entry module, relative to the package's dist folder (or absolute, inside one of the node's roots). */
  readonly entry: string;
  readonly serviceName: string;
  /** JSON value that the actor reads as `runtime.args`. */
  readonly args: unknown;
  /** Added to the node's own environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly restart: RestartPolicy;
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
  /** host:port of its /metrics; null unless alive. */
  readonly metricsAddress: string | null;
  readonly state: ActorState;
  /** Why it is in this state, for people. */
  readonly reason: string;
  /** How its last process ended; both null before that. */
  readonly exitCode: number | null;
  readonly exitSignal: string | null;
  /** Last lines that the dead process wrote. */
  readonly lastLogLines: readonly string[];
}

/** A node as its users see it: in the node's own process, or through gRPC. */
export interface NodeApi {
  /** Accepts an actor and starts it. @throws UserError for an entry, id or policy that cannot work. */
  spawn(spec: ActorSpec): Promise<ActorStatus>;
  /** Ends an actor: SIGTERM, SIGKILL after `graceMs`. Resolves when its process is gone. */
  stop(actorId: string, graceMs?: number): Promise<void>;
  /** SIGKILLs an actor's process; the restart policy decides what follows. */
  kill(actorId: string): Promise<void>;
  list(): Promise<readonly ActorStatus[]>;
  /** The status of every actor, then every change, until the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<ActorStatus>;
}
