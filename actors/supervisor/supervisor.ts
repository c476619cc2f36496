/**
 * Supervises the actors of one node: starts their processes, detects death and silence, restarts by policy, and reports
 * every change with its cause. Effects only; restart-policy.ts and resources.ts decide.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { ActorListen } from '../status/actor-environment.ts';
import type { ActorProcess, ActorProcessOptions, ProcessEnd } from './actor-process.ts';
import { CallError } from '../base/call-errors.ts';
import { holdRoom } from './bundle.ts';
import { MAX_TIMER_MS } from '../base/limits.ts';
import { logPathOf } from '../base/log-files.ts';
import { NodeRoom } from './node-room.ts';
import { decideRestart, type RestartDecision } from '../status/restart-policy.ts';
import { busyReason, DEFAULT_GRACE_MS, HOLDS_ROOM, SERVING } from '../status/status.ts';
import type { Beat } from '../base/activity.ts';
import type { ActorSpec, ActorStatus, Resources } from '../status/status.ts';
import { LatestDead } from '../status/latest-dead.ts';
import { StatusFeed } from '../status/status-feed.ts';
import { causeOf, endFacts, initialStatus, STARTING } from './supervised.ts';
import type { Supervised } from './supervised.ts';

export const HEARTBEAT_MS = 2000;
/** Missed heartbeats in a row before a process is killed; a separate thread sends them, whatever the actor computes. */
const MAX_MISSED_BEATS = 15;
/** Time without a turn of its event loop after which an actor is reported as busy. */
const BUSY_MS = 10_000;

export interface SupervisorOptions {
  readonly nodeId: string;
  readonly runDir: string;
  readonly log: Log;
  readonly total: Resources;
  readonly heartbeatMs?: number;
  /** As NodeOptions. */
  readonly busyMs?: number;
  readonly listen?: ActorListen;
  /** The node's cards as CUDA_VISIBLE_DEVICES names them; null where they have their numbers. */
  readonly cards?: readonly string[] | null;
  /** Starts an actor's process or thread. */
  readonly startProcess: (spec: ActorSpec, options: ActorProcessOptions) => ActorProcess;
  /** An actor's process is gone; another follows after `restartMs`, or none if that is null. */
  readonly onEnd?: (actorId: string, incarnation: number, restartMs: number | null) => void;
}

/** How an actor arrives at this node. */
export interface Arrival {
  /** Absolute path of its entry module. */
  readonly entry: string;
  /** 1, or more for an actor that another node had. */
  readonly firstIncarnation: number;
  /** Why it was moved here; null for a new one. */
  readonly movedBecause: string | null;
  readonly savedState: unknown;
  /** The node that looks after it. */
  readonly homeNodeId: string;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #actors = new Map<string, Supervised>();
  readonly #dead = new LatestDead();
  /** Dead actors that the next tick forgets. */
  readonly #forgettable = new Set<string>();
  readonly #feed = new StatusFeed();
  readonly #monitor: NodeJS.Timeout;
  /** The holders of this node's resources. */
  readonly room: NodeRoom;
  #nodeAddress = '';
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.room = new NodeRoom(options.nodeId, options.total);
    this.#monitor = setInterval(() => this.#onTick(), options.heartbeatMs ?? HEARTBEAT_MS);
    this.#monitor.unref();
  }

  /** host:port that children register at; set before the first actor. */
  set nodeAddress(address: string) {
    this.#nodeAddress = address;
  }

  get free(): Resources {
    return this.room.free;
  }

  /** Actors that are not dead, without bundles. */
  get liveCount(): number {
    const actors = [...this.#actors.values()];
    return actors.filter(({ spec, status }) => status.state !== 'dead' && spec.isolation !== 'none').length;
  }

  /**
   * Starts an actor here. @throws CallError UNAVAILABLE when the node ends, RESOURCE_EXHAUSTED when it has no room,
   * FAILED_PRECONDITION when its bundle is not here.
   */
  place(spec: ActorSpec, arrival: Arrival): ActorStatus {
    const { nodeId } = this.#options;
    if (this.#closed) throw new CallError('UNAVAILABLE', `node ${nodeId} is stopping`);
    if (spec.bundle !== null && !this.#holdsBundle(spec.bundle))
      throw new CallError('FAILED_PRECONDITION', `node ${nodeId} has no bundle ${spec.bundle}`);
    const gpuIds = this.room.take(spec);
    const actor: Supervised = {
      spec,
      entry: arrival.entry,
      status: { ...initialStatus(spec, arrival.firstIncarnation), nodeId, gpuIds },
      process: null,
      restartsMs: [],
      missedBeats: 0,
      isBusy: false,
      killReason: null,
      movesBecause: null,
      savedState: arrival.savedState,
      homeNodeId: arrival.homeNodeId,
      lastEnd: arrival.movedBecause,
      restartAsked: null,
      stopping: new AbortController(),
      life: Promise.resolve(),
    };
    this.#actors.set(spec.actorId, actor);
    actor.life = this.#live(actor);
    return actor.status;
  }

  /** The node that looks after an actor here. */
  homeOf(actorId: string): string | undefined {
    return this.#actors.get(actorId)?.homeNodeId;
  }

  /** Whether its owner ends it when the node drains. */
  handsOver(actorId: string): boolean {
    return this.#actors.get(actorId)?.spec.handsOver ?? false;
  }

  /** Resolves when the actor has ended permanently. */
  async ended(actorId: string): Promise<void> {
    await this.#actors.get(actorId)?.life;
  }

  has(actorId: string): boolean {
    return this.#actors.has(actorId);
  }

  get(actorId: string): ActorStatus | undefined {
    return this.#actors.get(actorId)?.status;
  }

  savedState(actorId: string): unknown {
    return this.#actors.get(actorId)?.savedState ?? null;
  }

  logPath(actorId: string): string {
    return logPathOf(this.#options.runDir, actorId);
  }

  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when the process is gone, and with a bundle the actors in it. */
  async stop(actorId: string, graceMs = DEFAULT_GRACE_MS): Promise<void> {
    const actor = this.#get(actorId);
    actor.stopping.abort();
    const inside = this.#livingIn(actorId).map(({ spec }) => this.stop(spec.actorId, graceMs));
    const timer = this.#terminate(actor, graceMs);
    await Promise.all([actor.life, ...inside]);
    clearTimeout(timer);
  }

  /** Ends an actor here as `stop` does; its home starts it elsewhere when this node has left. */
  async moveAway(actorId: string, because: string, graceMs: number): Promise<void> {
    this.#get(actorId).movesBecause = because;
    await this.stop(actorId, graceMs);
  }

  kill(actorId: string, reason = 'kill was asked for'): void {
    const actor = this.#get(actorId);
    actor.killReason = reason;
    actor.process?.signal('SIGKILL');
  }

  /** Ends the process cleanly; the next one starts at once, whatever the policy. */
  restart(actorId: string, reason: string): void {
    const actor = this.#get(actorId);
    if (actor.process === null) return; // permanently dead, or about to be started anyway
    actor.restartAsked = reason;
    const timer = this.#terminate(actor, DEFAULT_GRACE_MS);
    void actor.process.ended.then(() => clearTimeout(timer));
  }

  list(): ActorStatus[] {
    return [...this.#actors.values()].map((actor) => actor.status);
  }

  /** The status of every actor here, then every change. */
  watch(signal: AbortSignal): AsyncIterable<ActorStatus> {
    return this.#feed.watch(() => this.list(), signal);
  }

  /** A process is ready to serve. @throws CallError when it is not the actor's current process. */
  register(actorId: string, incarnation: number, address: string, metricsAddress: string): void {
    const actor = this.#current(actorId, incarnation);
    actor.missedBeats = 0;
    this.#update(actor, { state: 'alive', address, metricsAddress, reason: SERVING });
  }

  /** A heartbeat of the actor's current process. A process that is computing is marked busy, and left alone. */
  #onBeat(actor: Supervised, { busyMs, methods }: Beat): void {
    actor.missedBeats = 0;
    const isBusy = busyMs >= (this.#options.busyMs ?? BUSY_MS);
    if (isBusy === actor.isBusy || actor.status.state !== 'alive') return;
    actor.isBusy = isBusy;
    const { actorId } = actor.spec;
    const since = new Date(Date.now() - busyMs).toISOString();
    this.#update(actor, { reason: isBusy ? busyReason(methods, since) : SERVING });
    if (isBusy)
      this.#options.log.warn('an actor is busy and answers no other calls', { actorId, methods, since });
    else this.#options.log.info('an actor is no longer busy', { actorId });
  }

  /** Keeps a JSON value for the next incarnation. @throws CallError when the sender is not the current process. */
  saveState(actorId: string, incarnation: number, state: unknown): void {
    const actor = this.#current(actorId, incarnation);
    actor.savedState = state;
    this.#update(actor, {}); // followers of the actor keep a copy
  }

  /** Living actors here that `nodeId` looks after. */
  livingFrom(nodeId: string): ActorSpec[] {
    const living = [...this.#actors.values()].filter(({ status }) => status.state !== 'dead');
    return living.filter(({ homeNodeId }) => homeNodeId === nodeId).map(({ spec }) => spec);
  }

  /** Actors that ended here to continue elsewhere. */
  movedAway(): Pick<Supervised, 'spec' | 'status' | 'savedState' | 'homeNodeId'>[] {
    return [...this.#actors.values()].filter(
      ({ stopping, movesBecause }) => stopping.signal.aborted && movesBecause !== null,
    );
  }

  /** Forgets one of them silently: it continues elsewhere, or nowhere. */
  forgetMoved(actorId: string): void {
    const actor = this.#get(actorId);
    actor.movesBecause = null;
    this.#clear(actor);
    this.#update(actor, { state: 'dead' });
  }

  /** Ends every actor; actors of a type in `last` end after the others, in that order. */
  async close(graceMs = DEFAULT_GRACE_MS, lastType = ''): Promise<void> {
    this.#closed = true;
    const actors = [...this.#actors.values()];
    const stopAll = (some: Supervised[]) =>
      Promise.all(some.map(({ spec }) => this.stop(spec.actorId, graceMs)));
    await stopAll(actors.filter(({ spec }) => spec.type !== lastType));
    await stopAll(actors.filter(({ spec }) => spec.type === lastType));
    clearInterval(this.#monitor);
    this.#feed.close();
  }

  /** Kills every process at once and restarts none here: another node has taken over, or will. */
  async abandon(reason: string, goesOn: (spec: ActorSpec) => boolean): Promise<void> {
    const actors = [...this.#actors.values()];
    for (const actor of actors) {
      if (!actor.stopping.signal.aborted && goesOn(actor.spec)) actor.movesBecause ??= reason;
      actor.stopping.abort();
      actor.killReason = reason;
      actor.process?.signal('SIGKILL');
    }
    await Promise.all(actors.map(({ life }) => life));
  }

  #holdsBundle(actorId: string): boolean {
    const bundle = this.#actors.get(actorId);
    const isServing = bundle?.status.state === 'alive' && !bundle.stopping.signal.aborted;
    return isServing && bundle.spec.isolation === 'none';
  }

  #livingIn(bundle: string): Supervised[] {
    const actors = [...this.#actors.values()];
    return actors.filter(({ spec, status }) => spec.bundle === bundle && status.state !== 'dead');
  }

  #terminate(actor: Supervised, graceMs: number): NodeJS.Timeout | undefined {
    const { process } = actor;
    process?.signal('SIGTERM');
    if (graceMs > MAX_TIMER_MS) return undefined;
    return setTimeout(() => {
      if (actor.process !== process) return;
      actor.killReason ??= `did not end within ${graceMs} ms of SIGTERM`;
      process?.signal('SIGKILL');
    }, graceMs);
  }

  /** Runs one process after another until the actor ends permanently. */
  async #live(actor: Supervised): Promise<void> {
    for (;;) {
      const end = await this.#runProcess(actor);
      const next = this.#afterEnd(actor, end);
      this.#tellEnd(actor, next.kind === 'dead' ? null : next.delayMs);
      if (next.kind === 'dead') return this.#bury(actor, end, next.because);
      this.#awaitRestart(actor, end, next.delayMs);
      await delay(next.delayMs, undefined, { signal: actor.stopping.signal }).catch(() => undefined);
      if (actor.stopping.signal.aborted) {
        this.#tellEnd(actor, null);
        return this.#bury(actor, end, 'stopped');
      }
      actor.status = { ...actor.status, incarnation: actor.status.incarnation + 1, reason: STARTING };
    }
  }

  #tellEnd({ spec, status }: Supervised, restartMs: number | null): void {
    this.#options.onEnd?.(spec.actorId, status.incarnation, restartMs);
  }

  /** Whether and when the next process starts. */
  #afterEnd(actor: Supervised, end: ProcessEnd): RestartDecision {
    const { spec, stopping, killReason, restartAsked, restartsMs } = actor;
    if (stopping.signal.aborted)
      return { kind: 'dead', because: killReason === null ? 'stopped' : `stopped; ${killReason}` };
    if (restartAsked !== null) return { kind: 'restart', delayMs: 0 };
    const decision = decideRestart(spec.restart, end, restartsMs, performance.now());
    if (decision.kind === 'restart') return decision;
    return { kind: 'dead', because: `${causeOf(actor, end)}; not restarted: ${decision.because}` };
  }

  #awaitRestart(actor: Supervised, end: ProcessEnd, delayMs: number): void {
    const { restartAsked } = actor;
    actor.restartAsked = null;
    if (restartAsked === null) actor.restartsMs.push(performance.now());
    actor.lastEnd = restartAsked ?? causeOf(actor, end);
    const reason = restartAsked ?? `${actor.lastEnd}; restart in ${Math.round(delayMs)} ms`;
    this.#update(actor, { ...endFacts(end), state: 'restarting', reason });
  }

  async #runProcess(actor: Supervised): Promise<ProcessEnd> {
    actor.killReason = null;
    actor.missedBeats = 0;
    actor.isBusy = false;
    const isBundle = actor.spec.isolation === 'none';
    try {
      actor.process = isBundle ? holdRoom() : this.#startProcess(actor);
    } catch (thrown) {
      return { exitCode: null, exitSignal: null, lastLogLines: [], startError: toError(thrown) };
    }
    const { pid, ended } = actor.process;
    this.#update(actor, isBundle ? { state: 'alive', reason: HOLDS_ROOM } : { pid });
    const end = await ended;
    actor.process = null;
    return end;
  }

  #startProcess(actor: Supervised): ActorProcess {
    const { spec, status, entry, savedState: state, lastEnd } = actor;
    const { actorId, type, args, mailbox } = spec;
    const { incarnation, gpuIds } = status;
    const { listen, runDir, cards: visible } = this.#options;
    const restart = lastEnd === null ? null : { state, reason: lastEnd };
    const cards = gpuIds.map((id) => visible?.[id] ?? id).join(',');
    return this.#options.startProcess(spec, {
      entry,
      env: {
        ...spec.env,
        ...(cards === '' ? {} : { CUDA_VISIBLE_DEVICES: cards, NVIDIA_VISIBLE_DEVICES: cards }),
      },
      logPath: this.logPath(actorId),
      onBeat: (beat) => this.#onBeat(actor, beat),
      environment: {
        ...{ actorId, type, incarnation, args, mailbox, restart, runDir, nodeAddress: this.#nodeAddress },
        ...(listen === undefined ? {} : { listen }),
      },
    });
  }

  #bury(actor: Supervised, end: ProcessEnd, reason: string): void {
    this.room.leave(actor.spec.actorId);
    for (const { spec } of this.#livingIn(actor.spec.actorId)) void this.stop(spec.actorId);
    const { movesBecause } = actor;
    const state = movesBecause === null ? 'dead' : 'restarting';
    if (state === 'dead') this.#clear(actor);
    this.#update(actor, { ...endFacts(end), state, reason: movesBecause ?? reason });
  }

  /** A dead actor is only listed, with its end. */
  #clear(actor: Supervised): void {
    actor.spec = { ...actor.spec, args: null, env: {} };
    actor.savedState = null;
  }

  #update(actor: Supervised, change: Partial<ActorStatus>): void {
    actor.status = { ...actor.status, ...change };
    const { actorId, incarnation, state, reason } = actor.status;
    const level = state === 'restarting' || (state === 'dead' && reason !== 'stopped') ? 'warn' : 'debug';
    this.#options.log[level]('actor status', { actorId, incarnation, state, reason });
    const forgettable = this.#dead.note(actor.status);
    if (forgettable !== null) this.#forgettable.add(forgettable);
    this.#feed.tell(actor.status);
  }

  #onTick(): void {
    this.#checkBeats();
    // Not at once, so that many deaths at a time are all handled while their actors are known.
    for (const actorId of this.#forgettable) {
      if (this.#actors.get(actorId)?.status.state === 'dead') this.#actors.delete(actorId);
    }
    this.#forgettable.clear();
  }

  /** Counts missed ticks, not time, so that nobody is killed when the node itself was paused. */
  #checkBeats(): void {
    for (const actor of this.#actors.values()) {
      if (actor.status.state !== 'alive' || actor.spec.isolation === 'none') continue;
      if (++actor.missedBeats <= MAX_MISSED_BEATS) continue;
      const seconds = (MAX_MISSED_BEATS * (this.#options.heartbeatMs ?? HEARTBEAT_MS)) / 1000;
      actor.killReason = `gave no sign of life for ${seconds} s: it was stopped, or the system suspended it`;
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
