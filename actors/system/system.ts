/** Actors for programs: spawns, finds and ends them on a node, in this process or another. */

import type { Log } from '../../common/log.ts';
import { ActorDirectory } from './directory.ts';
import { actorHandle, type ActorHandle } from './handle.ts';
import type { ActorType, SpawnOptions } from './actor-type.ts';
import { bundleSpecs, PlacementGroup, type PlacementGroupOptions } from './placement-group.ts';
import { checkGang, checkSpec } from '../status/actor-spec.ts';
import { encodeJson } from '../base/json-value.ts';
import { checkMilliseconds } from '../base/checks.ts';
import { DEFAULT_RESTART_POLICY, MAX_ARGS_BYTES } from '../status/status.ts';
import type { ActorSpec, ActorStatus, NodeApi, Resources } from '../status/status.ts';
import { DEFAULT_MAILBOX } from '../base/mailbox.ts';
import type { StatusListener } from '../status/status-feed.ts';
import { ActorError, CallError } from '../base/call-errors.ts';
import type { CallOptions } from '../proto/protos.ts';
import type { Transport } from '../calls/transport.ts';

/** One of several actors that start together. */
export interface GangMember<Client> extends Omit<SpawnOptions, 'getIfExists'> {
  readonly type: ActorType<Client, unknown>;
}

export interface ActorSystemOptions {
  readonly node: NodeApi;
  readonly transport: Transport;
  readonly log?: Log;
  /** Deadline of calls that set none; a minute by default. */
  readonly deadlineMs?: number;
  /** The actor, as `actor/incarnation`, that owns the spawned ones; absent for a program that is not an actor. */
  readonly owner?: string;
}

/** How long `ready` waits by default. */
const READY_DEADLINE_MS = 30_000;

export class ActorSystem {
  readonly node: NodeApi;
  readonly #options: ActorSystemOptions;
  readonly #directory: ActorDirectory;

  constructor(options: ActorSystemOptions) {
    if (options.deadlineMs !== undefined) checkMilliseconds('deadlineMs', options.deadlineMs);
    this.node = options.node;
    this.#options = options;
    this.#directory = new ActorDirectory(options.node, options.transport);
  }

  /**
   * Starts an actor. Resolves when it is accepted; calls wait until it serves. @throws UserError and CallError as
   * NodeApi.
   */
  async spawn<Client, Handlers>(
    type: ActorType<Client, Handlers>,
    options: SpawnOptions = {},
  ): Promise<ActorHandle<Client>> {
    const spec = specOf(type, { ...type.defaults, ...options }, this.#options.owner ?? null);
    try {
      this.#directory.add(await this.node.spawn(spec));
      return this.handle(type, spec.actorId);
    } catch (thrown) {
      const isTaken = thrown instanceof CallError && thrown.code === 'ALREADY_EXISTS';
      const existing =
        isTaken && options.getIfExists === true && spec.name !== null
          ? await this.find(type, spec.name, spec.namespace)
          : null;
      if (existing !== null) return existing;
      throw thrown;
    }
  }

  /**
   * Starts actors together or not at all: the nodes hold room for all of them before any starts, and if one cannot
   * start, all are ended. Resolves with a handle for each when they are accepted; calls wait until they serve. @throws
   * as `spawn`
   */
  async spawnGang<const Clients extends readonly unknown[]>(members: {
    readonly [Index in keyof Clients]: GangMember<Clients[Index]>;
  }): Promise<{ readonly [Index in keyof Clients]: ActorHandle<Clients[Index]> }> {
    const list: readonly GangMember<unknown>[] = members;
    const specs = list.map(({ type, ...options }) =>
      specOf(type, { ...type.defaults, ...options }, this.#options.owner ?? null),
    );
    await this.#startTogether(specs);
    const handles = list.map(({ type }, i) => this.handle(type, specs[i]!.actorId));
    return handles as { readonly [Index in keyof Clients]: ActorHandle<Clients[Index]> };
  }

  /**
   * Holds room for actors that are spawned later, in bundles: for all of them or none, now or when there is room. Resolves
   * when the group is accepted. It ends with the actor that made it, unless it is detached. @throws as `spawn`
   */
  async placementGroup(
    bundles: readonly Resources[],
    options: PlacementGroupOptions = {},
  ): Promise<PlacementGroup> {
    const specs = bundleSpecs(bundles, options, this.#options.owner ?? null);
    for (const spec of specs) checkSpec(spec);
    await this.#startTogether(specs);
    return new PlacementGroup(this, specs);
  }

  async #startTogether(specs: readonly ActorSpec[]): Promise<void> {
    checkGang(specs);
    for (const status of await this.node.spawnGang(specs)) this.#directory.add(status);
  }

  /** The living actor of a name; null when there is none. */
  async find<Client, Handlers>(
    type: ActorType<Client, Handlers>,
    name: string,
    namespace = DEFAULT_NAMESPACE,
  ): Promise<ActorHandle<Client> | null> {
    const found = (await this.node.list()).find(
      (status) => status.name === name && status.namespace === namespace && status.state !== 'dead',
    );
    return found === undefined ? null : this.handle(type, found.actorId);
  }

  /** A handle of an existing actor by id. Calls fail with NOT_FOUND if there is none. */
  handle<Client, Handlers>(type: ActorType<Client, Handlers>, actorId: string): ActorHandle<Client> {
    const { transport, deadlineMs } = this.#options;
    const context = {
      directory: this.#directory,
      transport,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    };
    return actorHandle(type, actorId, context);
  }

  /** Resolves when the actor serves. @throws ActorError with its end and last log lines when it died permanently. */
  ready(actorId: string, options: CallOptions = {}): Promise<ActorStatus> {
    return this.#directory.waitFor(
      actorId,
      (status) => {
        if (status.state !== 'dead') return status.state === 'alive';
        const { incarnation, lastLogLines } = status;
        const reason = `dead, its process ${status.reason}`;
        const facts = { actorId, incarnation, code: 'UNAVAILABLE', retryable: false, reason } as const;
        throw new ActorError({ ...facts, lastLogLines });
      },
      { deadlineMs: READY_DEADLINE_MS, ...options },
    );
  }

  /** The known status of an actor; undefined if this system does not know it. */
  status(actorId: string): ActorStatus | undefined {
    return this.#directory.get(actorId);
  }

  /**
   * Calls the listener at each change of an actor, or of any actor if none is named, until the returned function is
   * called. When the node is gone, its actors are reported dead.
   */
  onStatus(listener: StatusListener, actorId?: string): () => void {
    return this.#directory.listen(listener, actorId);
  }

  /** Ends an actor: SIGTERM, SIGKILL after `graceMs`. */
  async stop(actorId: string, graceMs?: number): Promise<void> {
    if (graceMs !== undefined) checkMilliseconds('graceMs', graceMs);
    return this.node.stop(actorId, graceMs);
  }

  /** Releases its resources; the node and its actors continue. */
  close(): Promise<void> {
    return this.#directory.close();
  }
}

const DEFAULT_NAMESPACE = 'default';

function specOf<Client, Handlers>(
  type: ActorType<Client, Handlers>,
  options: SpawnOptions,
  owner: string | null,
): ActorSpec {
  const { maxConcurrency, maxPendingCalls } = options;
  const actorId = options.actorId ?? `${type.name}-${crypto.randomUUID().slice(0, 8)}`;
  const spec: ActorSpec = {
    actorId,
    type: type.name,
    entry: type.entry,
    serviceName: type.service.name,
    args: options.args ?? null,
    env: options.env ?? {},
    restart: { ...DEFAULT_RESTART_POLICY, ...options.restart },
    name: options.name ?? null,
    namespace: options.namespace ?? DEFAULT_NAMESPACE,
    resources: options.resources ?? {},
    labels: options.labels ?? {},
    placement: options.placement ?? 'pack',
    near: options.near ?? null,
    group: null,
    bundle: options.bundle ?? null,
    lifetime: options.lifetime ?? 'owner',
    owner,
    mailbox: {
      maxConcurrency: maxConcurrency ?? DEFAULT_MAILBOX.maxConcurrency,
      maxPendingCalls: maxPendingCalls ?? DEFAULT_MAILBOX.maxPendingCalls,
    },
    isolation: options.isolation ?? 'process',
    handsOver: options.handsOver ?? false,
  };
  checkSpec(spec);
  // A copy as every process receives it, independent of later changes by the caller.
  const args: unknown = JSON.parse(encodeJson(spec.args, `Actor ${actorId}, arguments`, MAX_ARGS_BYTES));
  return { ...spec, args };
}
