/**
 * What an actor's main.ts calls. Serves the actor's service, health and /metrics on loopback, tells its
 * node, and ends cleanly: on SIGTERM it stops taking calls, aborts those in progress, lets the actor clean up and exits
 * with 0; when its node is gone it ends too, so that no process is ever left behind.
 */

import { UserError } from '../common/errors.ts';
import { createLog } from '../common/log.ts';
import type { Log } from '../common/log.ts';
import type { Registry } from 'prom-client';
import { readActorEnvironment } from './actor-environment.ts';
import type { ActorEnvironment } from './actor-environment.ts';
import { ChannelPool, serviceCalls } from './channels.ts';
import type { EventBus } from './event-bus.ts';
import { remoteEventBus } from './event-service.ts';
import { addHealth } from './health.ts';
import { CallMetrics, createRegistry, serveMetrics } from './metrics.ts';
import { connectNode } from './node-client.ts';
import { ObjectStore } from './objects.ts';
import type { Implementation, Service } from './protos.ts';
import { startHeartbeat, whenNodeIsGone } from './node-link.ts';
import { EXIT_USER_ERROR } from './restart-policy.ts';
import { nodeService } from './runtime-services.ts';
import { ServiceServer } from './server.ts';
import type { CallContext } from './server.ts';
import { ActorSystem } from './system.ts';

/** What an actor is given. */
export interface ActorRuntime {
  readonly actorId: string;
  readonly incarnation: number;
  /** As given to `spawn`; the actor validates it. */
  readonly args: unknown;
  readonly runDir: string;
  readonly log: Log;
  /** Where the actor registers metrics of its own (`ballast_…`). */
  readonly registry: Registry;
  readonly objects: ObjectStore;
  /** To spawn and call other actors of the node. */
  readonly system: ActorSystem;
  readonly events: EventBus;
  /** Aborted when the process begins to end. */
  readonly signal: AbortSignal;
}

/** What an actor gives back. */
export interface StartedActor<Handlers> {
  readonly handlers: Implementation<Handlers, CallContext>;
  /** Cleans up before a clean exit; a killed process never gets here. */
  onStop?(): Promise<void> | void;
}

export interface ServeOptions<Client, Handlers> {
  readonly service: Service<Client, Handlers>;
  /** Makes the actor. A `UserError` from here ends it for good; other errors leave it to the restart policy. */
  start(runtime: ActorRuntime): Promise<StartedActor<Handlers>> | StartedActor<Handlers>;
  /** Most bytes that it keeps of objects put and got; 64 MiB by default. */
  readonly objectCacheBytes?: number;
}

/** Time for `onStop` when the node is gone and nobody waits. */
const ORPHAN_GRACE_MS = 1000;

/** Runs this process as an actor. Resolves when it is registered; the process ends by itself later. */
export async function serveActor<Client, Handlers>(options: ServeOptions<Client, Handlers>): Promise<void> {
  process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole process group; the node decides
  let log = createLog();
  try {
    const environment = readActorEnvironment(process.env);
    log = log.with({ actor: environment.actorId, incarnation: environment.incarnation });
    await new ActorHost(environment, options.service, log).run(options);
  } catch (thrown) {
    const isUserError = thrown instanceof UserError;
    if (isUserError) log.error(thrown.message);
    else log.error('the actor could not start', { error: thrown });
    process.exit(isUserError ? EXIT_USER_ERROR : 1);
  }
}

class ActorHost<Client, Handlers> {
  readonly #environment: ActorEnvironment;
  readonly #service: Service<Client, Handlers>;
  readonly #log: Log;
  readonly #pool = new ChannelPool();
  readonly #registry: Registry;
  readonly #server: ServiceServer;
  readonly #stopping = new AbortController();
  #system: ActorSystem | null = null;
  #actor: StartedActor<Handlers> | null = null;
  #stopHeartbeat: () => void = () => undefined;

  constructor(environment: ActorEnvironment, service: Service<Client, Handlers>, log: Log) {
    this.#environment = environment;
    this.#service = service;
    this.#log = log;
    this.#registry = createRegistry({ actor: environment.actorId, type: environment.type });
    this.#server = new ServiceServer({ log, metrics: new CallMetrics(this.#registry) });
  }

  async run(options: ServeOptions<Client, Handlers>): Promise<void> {
    process.on('SIGTERM', () => void this.#end('SIGTERM'));
    whenNodeIsGone(() => void this.#endOrphaned());
    const address = await this.#server.listen();
    const runtime = this.#runtime(options);
    this.#actor = await options.start(runtime);
    this.#server.add(this.#service, this.#actor.handlers);
    addHealth(this.#server, [this.#service.name]);
    const metrics = await serveMetrics(this.#registry);
    if (this.#stopping.signal.aborted) return;
    await this.#register(address, metrics.address);
  }

  #runtime(options: ServeOptions<Client, Handlers>): ActorRuntime {
    const { actorId, incarnation, nodeAddress, args, runDir } = this.#environment;
    const { objectCacheBytes } = options;
    this.#system = new ActorSystem({ node: connectNode(this.#pool, nodeAddress), pool: this.#pool });
    const objects = new ObjectStore({
      owner: `${actorId}/${incarnation}`,
      nodeAddress,
      pool: this.#pool,
      registry: this.#registry,
      ...(objectCacheBytes === undefined ? {} : { cacheBytes: objectCacheBytes }),
    });
    return {
      actorId,
      incarnation,
      args,
      runDir,
      log: this.#log,
      registry: this.#registry,
      objects,
      system: this.#system,
      events: remoteEventBus(this.#pool, nodeAddress),
      signal: this.#stopping.signal,
    };
  }

  async #register(address: string, metricsAddress: string): Promise<void> {
    const { actorId, incarnation, nodeAddress } = this.#environment;
    const node = serviceCalls(nodeService, this.#pool, nodeAddress);
    const { heartbeatMs } = await node.register({ actorId, incarnation, address, metricsAddress });
    const beat = () => node.heartbeat({ actorId, incarnation }, { deadlineMs: heartbeatMs });
    this.#stopHeartbeat = startHeartbeat(beat, heartbeatMs, () => void this.#endOrphaned());
    this.#log.info('serving', { address, metricsAddress, pid: process.pid });
  }

  async #end(reason: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#log.info('stopping', { reason });
    this.#stopping.abort(new Error(`the actor is stopping (${reason})`));
    this.#stopHeartbeat();
    let exitCode = 0;
    try {
      await this.#server.stop();
      await this.#actor?.onStop?.();
      await this.#system?.close();
    } catch (thrown) {
      this.#log.error('onStop failed', { error: thrown });
      exitCode = 1;
    }
    this.#pool.close();
    process.exit(exitCode);
  }

  /** The node is gone, or has given this actor to another process: end whatever a worker thread is doing. */
  async #endOrphaned(): Promise<void> {
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), ORPHAN_GRACE_MS);
    await this.#end('the node is gone');
  }
}
