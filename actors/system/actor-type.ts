/** Types of actors, and how they are spawned. */

import type { Method, MethodName, Service } from '../proto/protos.ts';
import type {
  Isolation,
  Labels,
  Lifetime,
  PlacementStrategy,
  Resources,
  RestartPolicy,
} from '../status/status.ts';

/** A type of actor: its service and its program. */
export interface ActorType<Client, Handlers> {
  /** As `diffusion-worker`. */
  readonly name: string;
  /** Built entry module, relative to the package's dist folder: `services/diffusion-worker/main.js`. */
  readonly entry: string;
  readonly service: Service<Client, Handlers>;
  /** Methods that may run twice, in addition to those whose proto says `idempotency_level = IDEMPOTENT`. */
  readonly idempotent?: readonly MethodName<Client>[];
  /** Default spawn options of its actors. */
  readonly defaults?: SpawnOptions;
}

/** Whether a method may run twice, as its proto or its type says. */
export function isDeclaredIdempotent(
  { idempotent = [] }: ActorType<unknown, unknown>,
  name: string,
  method: Method,
): boolean {
  return method.isIdempotent || (idempotent as readonly string[]).includes(name);
}

export interface SpawnOptions {
  /** Unique in the cluster: letters, digits, `-`, `_`; derived from the type by default. */
  readonly actorId?: string;
  /**
   * JSON value that the actor reads as `runtime.args`; at most 1 MiB, or 60 KiB for the whole description if it is
   * detached.
   */
  readonly args?: unknown;
  /** Added to the node's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absent fields have the values of DEFAULT_RESTART_POLICY. */
  readonly restart?: Partial<RestartPolicy>;
  /** Unique in its namespace, for `system.find`. */
  readonly name?: string;
  /** `default` by default. */
  readonly namespace?: string;
  /** Returns the living actor of this name, if there is one, instead of an error. */
  readonly getIfExists?: boolean;
  /**
   * Resources that it needs on its node: `cpu`, `gpu`, `memoryBytes`, or any resource that nodes offer; none by
   * default.
   */
  readonly resources?: Resources;
  /** Labels that its node must have. */
  readonly labels?: Labels;
  /** `pack` fills one node after another (the default); `spread` takes the emptiest. */
  readonly placement?: PlacementStrategy;
  /** host:port of the preferred node if there is room, for example an object's holder. */
  readonly near?: string;
  /** Id of a bundle of a placement group, whose room it takes and whose node it is on; ends with the bundle. */
  readonly bundle?: string;
  /** `owner` (the default) ends it with the actor that spawned it; `detached` lets it live. */
  readonly lifetime?: Lifetime;
  /** Calls that it answers at the same time; 1 by default: one after another, in order. */
  readonly maxConcurrency?: number;
  /** Calls that may wait; one more is refused. 10,000 by default. */
  readonly maxPendingCalls?: number;
  /**
   * When its node drains, its spawner ends it once its results are taken over: the node waits for that for four fifths
   * of its grace period. By default it gets SIGTERM at once.
   */
  readonly handsOver?: boolean;
  /** Its own process (the default), or a thread of a process that the node's light actors share. */
  readonly isolation?: Isolation;
}
