/**
 * One incarnation of an actor, in its own process or in a thread: it is created, registers with its node, serves and
 * ends. The caller supplies everything that differs between a process and a thread (transport, addresses).
 */

import type { Registry } from 'prom-client';
import type { Log } from '../../common/log.ts';
import type { ActorEnvironment } from '../status/actor-environment.ts';
import { MAX_STATE_BYTES } from '../status/status.ts';
import { encodeJson } from '../base/json-value.ts';
import type { Dispatcher } from '../calls/dispatcher.ts';
import { rawMethods } from '../calls/raw-methods.ts';
import { remoteEventBus } from '../control/event-service.ts';
import type { ActorRuntime, ServeOptions, StartedActor } from './hosted-actor.ts';
import { Mailbox } from '../base/mailbox.ts';
import { connectNode } from '../system/node-client.ts';
import { ObjectStore } from '../objects/objects.ts';
import { nodeService } from '../proto/runtime-services.ts';
import { ActorSystem } from '../system/system.ts';
import { serviceCalls } from '../calls/transport.ts';
import type { Transport } from '../calls/transport.ts';

export interface ActorLifeOptions {
  readonly environment: ActorEnvironment;
  readonly log: Log;
  readonly registry: Registry;
  readonly transport: Transport;
  readonly dispatcher: Dispatcher;
  /** host:port at which the actor is served. */
  readonly address: string;
  /** Called at registration: the heartbeat is to have one beat each `everyMs`. */
  readonly beatEvery: (everyMs: number) => void;
}

export class ActorLife<Client, Handlers> {
  readonly #options: ActorLifeOptions;
  readonly #stopping = new AbortController();
  readonly #system: ActorSystem;
  #actor: StartedActor<Handlers> | null = null;

  constructor(options: ActorLifeOptions) {
    this.#options = options;
    const { transport, environment } = options;
    const owner = `${environment.actorId}/${environment.incarnation}`;
    this.#system = new ActorSystem({
      node: connectNode(transport, environment.nodeAddress),
      transport,
      owner,
    });
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Creates the actor; calls may arrive afterwards. */
  async start(options: ServeOptions<Client, Handlers>): Promise<void> {
    const { environment, dispatcher } = this.#options;
    const { actorId, incarnation, mailbox, restart } = environment;
    this.#actor = await options.start(this.#runtime(options));
    if (restart !== null) await this.#actor.onRestart?.(restart);
    const methods = rawMethods(options.service, this.#actor.handlers);
    const mailboxes = new Map(
      [...(this.#actor.mailboxes ?? [])].map(([name, own]) => [options.service.methods.get(name)!.path, own]),
    );
    const target = { methods, mailbox: new Mailbox(mailbox), mailboxes, incarnation };
    dispatcher.addActor(actorId, { kind: 'local', ...target });
  }

  /** Tells the node that the actor serves, and takes the interval of its heartbeat. */
  async register(metricsAddress: string): Promise<void> {
    const { environment, transport, address, log, beatEvery } = this.#options;
    const { actorId, incarnation, nodeAddress } = environment;
    const node = serviceCalls(nodeService, transport, nodeAddress);
    const { heartbeatMs } = await node.register({ actorId, incarnation, address, metricsAddress });
    beatEvery(heartbeatMs);
    log.info('serving', { address, metricsAddress, pid: process.pid });
  }

  /** Aborts the actor's work; call `end` once its calls have finished. */
  abort(reason: string): void {
    this.#options.log.info('stopping', { reason });
    this.#stopping.abort(new Error(`the actor is stopping (${reason})`));
  }

  /** Lets the actor clean up. Never throws; resolves to the exit code. */
  async end(): Promise<number> {
    try {
      await this.#actor?.onStop?.();
      await this.#system.close();
      return 0;
    } catch (thrown) {
      this.#options.log.error('onStop failed', { error: thrown });
      return 1;
    }
  }

  #runtime({ objectCacheBytes }: ServeOptions<Client, Handlers>): ActorRuntime {
    const { environment, log, registry, transport } = this.#options;
    const { actorId, incarnation, nodeAddress, args, runDir } = environment;
    const node = serviceCalls(nodeService, transport, nodeAddress);
    return {
      actorId,
      incarnation,
      args,
      runDir,
      log,
      registry,
      objects: new ObjectStore({
        owner: `${actorId}/${incarnation}`,
        ...{ nodeAddress, transport, registry },
        ...(objectCacheBytes === undefined ? {} : { cacheBytes: objectCacheBytes }),
      }),
      system: this.#system,
      events: remoteEventBus(transport, nodeAddress),
      signal: this.#stopping.signal,
      async saveState(state) {
        const stateJson = encodeJson(state, `Actor ${actorId}, state`, MAX_STATE_BYTES);
        await node.saveState({ actorId, incarnation, stateJson });
      },
    };
  }
}
