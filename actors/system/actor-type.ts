/** Kinds of actors, and how they are spawned. */

import type { Method, MethodName, Service } from '../proto/protos.ts';
import type {
  Isolation,
  Labels,
  Lifetime,
  PlacementStrategy,
  Resources,
  RestartPolicy,
} from '../status/status.ts';

/** A kind of actor: what it serves and where its program is. */
export interface ActorType<Client, Handlers> {
  /** As `diffusion-worker`. */
  readonly name: string;
  /** Built entry module, relative to the package's dist folder: `services/diffusion-worker/main.js`. */
  readonly entry: string;
  readonly service: Service<Client, Handlers>;
  /** Methods that may run twice, beside those whose proto says `idempotency_level = IDEMPOTENT`. */
  readonly idempotent?: readonly MethodName<Client>[];
  /** How its actors are spawned unless the caller says otherwise. */
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
  /** Unique in the cluster: letters, digits, `-`, `_`; made from the type by default. */
  readonly actorId?: string;
  /** JSON value that the actor reads as `runtime.args`; 1 MiB at most, 60 KiB with all else where it is detached. */
  readonly args?: unknown;
  /** Added to the node's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Parts left out are those of DEFAULT_RESTART_POLICY. */
  readonly restart?: Partial<RestartPolicy>;
  /** Unique in its namespace, for `system.find`. */
  readonly name?: string;
  /** `default` by default. */
  readonly namespace?: string;
  /** Returns the living actor of this name, if there is one, instead of an error. */
  readonly getIfExists?: boolean;
  /** What it needs of its node: `cpu`, `gpu`, `memoryBytes`, or any resource that nodes offer; nothing by default. */
  readonly resources?: Resources;
  /** Labels that its node must have. */
  readonly labels?: Labels;
  /** `pack` fills one node after another (the default); `spread` takes the emptiest. */
  readonly placement?: PlacementStrategy;
  /** host:port of the node that it should be on if there is room; an object's holder, say. */
  readonly near?: string;
  /** `owner` (the default) ends it with the actor that spawned it; `detached` lets it live. */
  readonly lifetime?: Lifetime;
  /** Calls that it answers at the same time; 1 by default: one after another, in order. */
  readonly maxConcurrency?: number;
  /** Calls that may wait; one more is refused. 10,000 by default. */
  readonly maxPendingCalls?: number;
  /**
   * When its node drains, whoever spawned it ends it, once what it made is taken over: the node waits for that for four
   * fifths of its grace period. By default it gets SIGTERM at once.
   */
  readonly handsOver?: boolean;
  /** A process of its own (the default), or a thread of one that the node's light actors share. */
  readonly isolation?: Isolation;
}
