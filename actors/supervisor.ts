/**
 * Keeps the actors of one node: starts their processes, notices death and silence, restarts by policy, and tells every
 * change with its cause. Effects only; the decision is restart-policy.ts.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { toError, UserError } from '../common/errors.ts';
import type { Log } from '../common/log.ts';
import { distRoot } from '../common/package-root.ts';
import { AsyncQueue } from './async-queue.ts';
import { startActorProcess } from './actor-process.ts';
import type { ProcessEnd } from './actor-process.ts';
import { CallError } from './call-errors.ts';
import { decideRestart } from './restart-policy.ts';
import type { ActorSpec, ActorStatus, NodeApi } from './status.ts';
import { causeOf, endFacts, initialStatus, STARTING } from './supervised.ts';
import type { Supervised } from './supervised.ts';

export const HEARTBEAT_MS = 2000;
/** Heartbeats missed in a row before a process counts as hung and is killed. */
const MAX_MISSED_HEARTBEATS = 15;
export const DEFAULT_GRACE_MS = 5000;
const ACTOR_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

export interface SupervisorOptions {
  readonly runDir: string;
  readonly log: Log;
  /** Folders that entry modules may lie in. */
  readonly entryRoots: readonly string[];
  readonly heartbeatMs?: number;
}

export class Supervisor implements NodeApi {
  readonly #options: SupervisorOptions;
  readonly #actors = new Map<string, Supervised>();
  readonly #watchers = new Set<AsyncQueue<ActorStatus>>();
  readonly #monitor: NodeJS.Timeout;
  #nodeAddress = '';
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#monitor = setInterval(() => this.#checkHeartbeats(), options.heartbeatMs ?? HEARTBEAT_MS);
    this.#monitor.unref();
  }

  /** host:port that children register at; set before the first spawn. */
  set nodeAddress(address: string) {
    this.#nodeAddress = address;
  }

  spawn(spec: ActorSpec): Promise<ActorStatus> {
    return new Promise((resolveStatus) => {
      if (this.#closed) throw new CallError('UNAVAILABLE', 'the node is stopping');
      const entry = this.#validate(spec);
      const actor: Supervised = {
        spec,
        entry,
        status: initialStatus(spec),
        process: null,
        restartsMs: [],
        missedHeartbeats: 0,
        killReason: null,
        stopping: new AbortController(),
        life: Promise.resolve(),
      };
      this.#actors.set(spec.actorId, actor);
      actor.life = this.#live(actor);
      resolveStatus(actor.status);
    });
  }

  async stop(actorId: string, graceMs = DEFAULT_GRACE_MS): Promise<void> {
    const actor = this.#get(actorId);
    actor.stopping.abort();
    actor.process?.signal('SIGTERM');
    const timer = setTimeout(() => {
      actor.killReason ??= `did not end within ${graceMs} ms of SIGTERM`;
      actor.process?.signal('SIGKILL');
    }, graceMs);
    await actor.life;
    clearTimeout(timer);
  }

  kill(actorId: string): Promise<void> {
    return new Promise((resolve) => {
      const actor = this.#get(actorId);
      actor.killReason = 'kill was asked for';
      actor.process?.signal('SIGKILL');
      resolve();
    });
  }

  list(): Promise<readonly ActorStatus[]> {
    return Promise.resolve([...this.#actors.values()].map((actor) => actor.status));
  }

  async *watch(signal: AbortSignal): AsyncGenerator<ActorStatus, void, undefined> {
    const queue = new AsyncQueue<ActorStatus>();
    for (const actor of this.#actors.values()) queue.push(actor.status);
    this.#watchers.add(queue);
    try {
      yield* queue.iterate(signal);
    } finally {
      this.#watchers.delete(queue);
    }
  }

  /** A process is ready to serve. @throws CallError when it is not the actor's current process. */
  register(actorId: string, incarnation: number, address: string, metricsAddress: string): void {
    const actor = this.#current(actorId, incarnation);
    actor.missedHeartbeats = 0;
    this.#update(actor, { state: 'alive', address, metricsAddress, reason: 'serving' });
  }

  /** A sign of life. @throws CallError when the sender is not the actor's current process. */
  heartbeat(actorId: string, incarnation: number): void {
    this.#current(actorId, incarnation).missedHeartbeats = 0;
  }

  /** Ends every actor and the watches. */
  async close(graceMs = DEFAULT_GRACE_MS): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#actors.keys()].map((actorId) => this.stop(actorId, graceMs)));
    clearInterval(this.#monitor);
    for (const queue of this.#watchers) queue.close();
  }

  #validate(spec: ActorSpec): string {
    if (!ACTOR_ID.test(spec.actorId)) {
      throw new UserError(`Actor id '${spec.actorId}': use 1 to 63 letters, digits, '-' and '_'.`);
    }
    const known = this.#actors.get(spec.actorId);
    if (known !== undefined && known.status.state !== 'dead') {
      throw new UserError(`Actor id '${spec.actorId}' is taken: choose another, or stop that actor first.`);
    }
    const entry = resolve(distRoot(), spec.entry);
    const isInside = (root: string) => {
      const path = relative(root, entry);
      return path !== '' && !path.startsWith('..') && !isAbsolute(path);
    };
    if (!this.#options.entryRoots.some(isInside)) {
      throw new UserError(`Actor entry '${spec.entry}' lies outside ${this.#options.entryRoots.join(', ')}.`);
    }
    return entry;
  }

  /** One process after another until the actor ends for good. */
  async #live(actor: Supervised): Promise<void> {
    for (;;) {
      const end = await this.#runProcess(actor);
      if (actor.stopping.signal.aborted) {
        return this.#bury(actor, end, actor.killReason === null ? 'stopped' : `stopped; ${actor.killReason}`);
      }
      const nowMs = performance.now();
      const decision = decideRestart(actor.spec.restart, end, actor.restartsMs, nowMs);
      if (decision.kind === 'dead') {
        return this.#bury(actor, end, `${causeOf(actor, end)}; not restarted: ${decision.because}`);
      }
      actor.restartsMs.push(nowMs);
      this.#update(actor, {
        ...endFacts(end),
        state: 'restarting',
        reason: `${causeOf(actor, end)}; restart in ${Math.round(decision.delayMs)} ms`,
      });
      await delay(decision.delayMs, undefined, { signal: actor.stopping.signal }).catch(() => undefined);
      if (actor.stopping.signal.aborted) return this.#bury(actor, end, 'stopped');
      actor.status = { ...actor.status, incarnation: actor.status.incarnation + 1, reason: STARTING };
    }
  }

  async #runProcess(actor: Supervised): Promise<ProcessEnd> {
    const { spec, status } = actor;
    actor.killReason = null;
    actor.missedHeartbeats = 0;
    try {
      actor.process = startActorProcess({
        entry: actor.entry,
        env: spec.env,
        logPath: join(this.#options.runDir, 'logs', `${spec.actorId}.log`),
        environment: {
          actorId: spec.actorId,
          type: spec.type,
          incarnation: status.incarnation,
          nodeAddress: this.#nodeAddress,
          runDir: this.#options.runDir,
          args: spec.args,
        },
      });
    } catch (thrown) {
      return { exitCode: null, exitSignal: null, lastLogLines: [], startError: toError(thrown) };
    }
    this.#update(actor, { pid: actor.process.pid });
    const end = await actor.process.ended;
    actor.process = null;
    return end;
  }

  #bury(actor: Supervised, end: ProcessEnd, reason: string): void {
    this.#update(actor, { ...endFacts(end), state: 'dead', reason });
  }

  #update(actor: Supervised, change: Partial<ActorStatus>): void {
    actor.status = { ...actor.status, ...change };
    const { actorId, incarnation, state, reason } = actor.status;
    const level = state === 'restarting' || (state === 'dead' && reason !== 'stopped') ? 'warn' : 'debug';
    this.#options.log[level]('actor status', { actorId, incarnation, state, reason });
    for (const queue of this.#watchers) queue.push(actor.status);
  }

  /** Counts silent ticks, not time: when the node itself was paused, nobody is blamed. */
  #checkHeartbeats(): void {
    for (const actor of this.#actors.values()) {
      if (actor.status.state !== 'alive' || ++actor.missedHeartbeats <= MAX_MISSED_HEARTBEATS) continue;
      actor.killReason = 'sent no heartbeat';
      actor.process?.signal('SIGKILL');
    }
  }

  #get(actorId: string): Supervised {
    const actor = this.#actors.get(actorId);
    if (actor === undefined) throw new CallError('NOT_FOUND', `no actor '${actorId}' on this node`);
    return actor;
  }

  #current(actorId: string, incarnation: number): Supervised {
    const actor = this.#get(actorId);
    if (actor.status.incarnation !== incarnation || actor.process === null) {
      throw new CallError('FAILED_PRECONDITION', `incarnation ${incarnation} of ${actorId} is not current`);
    }
    return actor;
  }
}
