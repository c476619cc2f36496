/** Actors for programs: spawn, find and end them on a node, in this process or another. */

import type { Log } from '../common/log.ts';
import type { ChannelPool } from './channels.ts';
import { ActorDirectory } from './directory.ts';
import { actorHandle } from './handle.ts';
import type { ActorHandle, ActorType } from './handle.ts';
import { DEFAULT_RESTART_POLICY } from './status.ts';
import type { ActorStatus, NodeApi, RestartPolicy } from './status.ts';
import { ActorError } from './call-errors.ts';
import type { CallOptions } from './protos.ts';

export interface SpawnOptions {
  /** Unique on the node: letters, digits, `-`, `_`. */
  readonly actorId: string;
  /** JSON value that the actor reads as `runtime.args`. */
  readonly args?: unknown;
  /** Added to the node's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Parts left out are those of DEFAULT_RESTART_POLICY. */
  readonly restart?: Partial<RestartPolicy>;
}

export interface ActorSystemOptions {
  readonly node: NodeApi;
  readonly pool: ChannelPool;
  readonly log?: Log;
  /** Deadline of calls that name none; a minute by default. */
  readonly deadlineMs?: number;
}

/** How long `ready` waits when nobody says. */
const READY_DEADLINE_MS = 30_000;

export class ActorSystem {
  readonly node: NodeApi;
  readonly #options: ActorSystemOptions;
  readonly #directory: ActorDirectory;

  constructor(options: ActorSystemOptions) {
    this.node = options.node;
    this.#options = options;
    this.#directory = new ActorDirectory(options.node);
  }

  /** Starts an actor. Resolves when the node accepted it; calls wait until it serves. @throws UserError as NodeApi. */
  async spawn<Client, Handlers>(
    type: ActorType<Client, Handlers>,
    options: SpawnOptions,
  ): Promise<ActorHandle<Client>> {
    const { actorId, args = null, env = {}, restart = {} } = options;
    const status = await this.node.spawn({
      actorId,
      type: type.name,
      entry: type.entry,
      serviceName: type.service.name,
      args,
      env,
      restart: { ...DEFAULT_RESTART_POLICY, ...restart },
    });
    this.#directory.add(status);
    return this.handle(type, actorId);
  }

  /** A handle of an actor that somebody started. Calls fail with NOT_FOUND when nobody did. */
  handle<Client, Handlers>(type: ActorType<Client, Handlers>, actorId: string): ActorHandle<Client> {
    const { pool, deadlineMs } = this.#options;
    const context = { directory: this.#directory, pool, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    return actorHandle(type, actorId, context);
  }

  /** Resolves when the actor serves. @throws ActorError with its end and last log lines when it died for good. */
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

  /** Ends an actor: SIGTERM, SIGKILL after `graceMs`. */
  stop(actorId: string, graceMs?: number): Promise<void> {
    return this.node.stop(actorId, graceMs);
  }

  /** Forgets what it knows; the node and its actors go on. */
  close(): Promise<void> {
    return this.#directory.close();
  }
}
