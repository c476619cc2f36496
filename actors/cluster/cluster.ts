/**
 * The cluster as one node sees it (cluster-view.ts), and the way to all its actors: forwards each request to the node
 * that has the actor, and looks after actors that were started through this node (homes.ts).
 *
 * Without a registry the node is alone.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../common/log.ts';
import { checkGang, checkResources, checkSpec, resolveEntry } from '../status/actor-spec.ts';
import { THREAD_HOST_TYPE } from '../threads/actor-thread.ts';
import { CallError } from '../base/call-errors.ts';
import { checkMilliseconds } from '../base/checks.ts';
import { ClusterView } from './cluster-view.ts';
import type { Home } from './home.ts';
import { Homes } from './homes.ts';
import { tailLog } from '../base/log-tail.ts';
import type { NodeDirectory } from './node-directory.ts';
import type { Claim } from '../supervisor/node-room.ts';
import type { Labels, LogOptions, NodeApi, NodeState, NodeStatus, Resources } from '../status/status.ts';
import type { ActorSpec, ActorStatus } from '../status/status.ts';
import type { Arrival, Supervisor } from '../supervisor/supervisor.ts';

export interface ClusterOptions {
  readonly nodeId: string;
  /** host:port of this node. */
  readonly address: string;
  /** host:port of this node's /metrics. */
  readonly metricsAddress: string;
  readonly labels: Labels;
  readonly total: Resources;
  readonly log: Log;
  readonly supervisor: Supervisor;
  /** The other nodes; null for a node that is alone. */
  readonly peers: NodeDirectory | null;
  readonly entryRoots: readonly string[];
}

/** Interval at which waiting actors are retried, in addition to every change. */
const RETRY_MS = 1000;
/** Share of the grace period in which owners end actors that hand over their results. */
const HAND_OVER_SHARE = 0.8;

export class Cluster implements NodeApi {
  readonly #options: ClusterOptions;
  readonly #view: ClusterView;
  readonly #homes: Homes;
  /** Spawns that are being decided, by id and name. */
  readonly #arriving = new Map<string, Promise<void>>();
  readonly #following = new AbortController();
  readonly #startedAt = new Date().toISOString();
  readonly #retry: NodeJS.Timeout;
  #state: NodeState = 'alive';
  /** Why the other nodes count this node as lost; null while they do not. */
  #lostBecause: string | null = null;
  /** Resolves when every actor that was here when this node was lost has ended. */
  #abandoned: Promise<void> = Promise.resolve();

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { nodeId, log, supervisor, peers } = options;
    const homes = new Map<string, Home>();
    const view = new ClusterView({ ownStatus: () => this.ownStatus, supervisor, peers, homes });
    this.#view = view;
    this.#homes = new Homes({
      ...{ nodeId, log, supervisor, peers, view, homes },
      placeHere: (spec, arrival) => this.placeHere(spec, arrival),
      claimHere: (claims, holdMs) => this.claimHere(claims, holdMs),
      isOpen: () => this.#state === 'alive',
      stop: (actorId) => this.stop(actorId),
    });
    void this.#followLocal();
    peers?.onActor((status) => this.#onPeerActor(status));
    peers?.onNode((node, because) => this.#homes.onNode(node, because));
    this.#retry = setInterval(() => this.#homes.placeWaiting(), RETRY_MS);
    this.#retry.unref();
  }

  /** This node. */
  get ownStatus(): NodeStatus {
    const { nodeId, address, metricsAddress, labels, total, supervisor } = this.#options;
    const reason = this.#lostBecause ?? (this.#state === 'alive' ? 'takes actors' : 'takes no new actors');
    return {
      ...{ nodeId, address, metricsAddress, labels, total, reason },
      free: supervisor.free,
      state: this.#state,
      actors: supervisor.liveCount,
      startedAt: this.#startedAt,
      pid: process.pid,
    };
  }

  async spawn(spec: ActorSpec): Promise<ActorStatus> {
    return this.#inTurn([spec], () => this.#homes.accept(spec));
  }

  async spawnGang(specs: readonly ActorSpec[]): Promise<readonly ActorStatus[]> {
    checkGang(specs);
    return this.#inTurn(specs, () => this.#homes.acceptGang(specs));
  }

  /** Serialises spawns by id and name: the second one finds the first. */
  async #inTurn<Result>(specs: readonly ActorSpec[], accept: () => Promise<Result>): Promise<Result> {
    for (const spec of specs) {
      checkSpec(spec);
      resolveEntry(spec, this.#options.entryRoots);
    }
    const keys = specs.flatMap(({ actorId, name, namespace }) => [
      `id ${actorId}`,
      ...(name === null ? [] : [`name ${namespace}/${name}`]),
    ]);
    for (let key; (key = keys.find((taken) => this.#arriving.has(taken))) !== undefined;) {
      await this.#arriving.get(key);
    }
    const accepted = accept();
    const settled = accepted.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#arriving.set(key, settled);
    return accepted.finally(() => {
      for (const key of keys) this.#arriving.delete(key);
    });
  }

  async stop(actorId: string, graceMs?: number): Promise<void> {
    if (graceMs !== undefined) checkMilliseconds('graceMs', graceMs);
    const home = this.#homes.get(actorId);
    if (home !== undefined) home.isStopped = true;
    if (home?.nodeId === null) return this.#homes.endWaiting(home);
    const remote = this.#remoteNodeOf(actorId);
    if (remote !== null) {
      await remote.stop(actorId, graceMs);
      return this.#options.peers!.noteEnd(actorId);
    }
    if (this.#view.find(actorId) === undefined && this.#view.lastIncarnation(actorId) > 0) return; // long dead
    await this.#options.supervisor.stop(actorId, graceMs);
    // Its process had ended before, and it waited for this node to rejoin the cluster.
    if (home !== undefined && this.#view.find(actorId)?.state !== 'dead') this.#homes.endWaiting(home);
  }

  async kill(actorId: string): Promise<void> {
    const remote = this.#remoteNodeOf(actorId);
    if (remote === null) this.#options.supervisor.kill(actorId);
    else await remote.kill(actorId);
  }

  async restart(actorId: string, reason: string): Promise<void> {
    const remote = this.#remoteNodeOf(actorId);
    if (remote === null) this.#options.supervisor.restart(actorId, reason);
    else await remote.restart(actorId, reason);
  }

  list(): Promise<readonly ActorStatus[]> {
    return Promise.resolve(this.#view.actors());
  }

  watch(signal: AbortSignal): AsyncIterable<ActorStatus> {
    return this.#view.watch(signal);
  }

  listNodes(): Promise<readonly NodeStatus[]> {
    return Promise.resolve(this.#view.nodes());
  }

  async *readLog(
    actorId: string,
    options: LogOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly string[]> {
    const remote = this.#remoteNodeOf(actorId);
    if (remote !== null) yield* remote.readLog(actorId, options, signal);
    else {
      if (!this.#options.supervisor.has(actorId)) throw new CallError('NOT_FOUND', `no actor '${actorId}'`);
      yield* tailLog(this.#options.supervisor.logPath(actorId), options, signal);
    }
  }

  /**
   * Holds room on this node; 0 milliseconds releases it. @throws as NodeRoom.claim, and when this node takes no actors.
   */
  claimHere(claims: readonly Claim[], holdMs: number): void {
    const { nodeId, supervisor } = this.#options;
    if (holdMs === 0) return supervisor.room.giveBack(claims.map(({ actorId }) => actorId));
    if (this.#state !== 'alive') throw new CallError('UNAVAILABLE', `node ${nodeId} takes no new actors`);
    for (const { actorId, resources } of claims) checkResources(`Actor ${actorId}`, resources);
    supervisor.room.claim(claims, holdMs);
  }

  /**
   * Starts an actor on this node. @throws as Supervisor.place; UserError for an entry module that this node does not
   * run.
   */
  placeHere(spec: ActorSpec, arrival: Omit<Arrival, 'entry'>): ActorStatus {
    const { nodeId, supervisor, entryRoots } = this.#options;
    checkSpec(spec); // it may come from another node
    if (this.#state !== 'alive') throw new CallError('UNAVAILABLE', `node ${nodeId} takes no new actors`);
    const status = supervisor.place(spec, { ...arrival, entry: resolveEntry(spec, entryRoots) });
    this.#options.peers?.announce(this.ownStatus);
    return status;
  }

  /** This node and its own actors, then every change. */
  async *watchLocal(signal: AbortSignal): AsyncGenerator<NodeStatus | ActorStatus, void, undefined> {
    yield this.ownStatus;
    for await (const status of this.#options.supervisor.watch(signal)) {
      yield status;
      yield this.ownStatus;
    }
  }

  /**
   * Takes no new actors, and ends those that are here within `graceMs`. Actors that another node looks after or may
   * take over continue there once this node has left.
   */
  async drain(graceMs: number): Promise<void> {
    checkMilliseconds('graceMs', graceMs);
    const { supervisor, peers } = this.#options;
    this.#state = 'draining';
    peers?.announce(this.ownStatus);
    // Threads end before their host, which ends with the node.
    const live = supervisor.list().filter(({ state, type }) => state !== 'dead' && type !== THREAD_HOST_TYPE);
    await Promise.all(live.map((status) => this.#leave(status, graceMs)));
  }

  /** Ends an actor here, so that it continues elsewhere if it can. */
  async #leave(status: ActorStatus, graceMs: number): Promise<void> {
    const { nodeId, supervisor } = this.#options;
    const { actorId } = status;
    let leftMs = graceMs;
    if (supervisor.handsOver(actorId)) {
      leftMs = graceMs * (1 - HAND_OVER_SHARE);
      const ended = supervisor.ended(actorId).then(() => true);
      if (await Promise.race([ended, sleep(graceMs - leftMs, false, { ref: false })])) return;
    }
    if (this.#canMove(status)) await supervisor.moveAway(actorId, `node ${nodeId} drains`, leftMs);
    else await supervisor.stop(actorId, leftMs);
  }

  /**
   * Another node may have taken over the actors that were here: all of them must end, and none may start. Actors that
   * this node itself looks after start again when it has rejoined.
   */
  async abandon(reason: string): Promise<void> {
    this.#lostBecause = reason;
    if (this.#state === 'alive') this.#state = 'lost';
    this.#abandoned = this.#options.supervisor.abandon(
      reason,
      ({ actorId, lifetime }) => this.#homes.get(actorId) !== undefined || lifetime === 'detached',
    );
    await this.#abandoned;
  }

  close(): void {
    this.#state = 'draining';
    clearInterval(this.#retry);
    this.#homes.stopAll();
    this.#following.abort();
    this.#view.close();
  }

  /** Whether an actor on this node continues elsewhere when this node leaves. */
  #canMove({ actorId, lifetime }: ActorStatus): boolean {
    const { nodeId, supervisor, peers } = this.#options;
    const others = (peers?.nodes() ?? []).filter(({ state }) => state === 'alive');
    return others.length > 0 && (lifetime === 'detached' || supervisor.homeOf(actorId) !== nodeId);
  }

  /** The other node that has an actor; null when this node has it, or none does. */
  #remoteNodeOf(actorId: string): NodeApi | null {
    const { nodeId, peers } = this.#options;
    if (this.#view.find(actorId)?.nodeId === nodeId) return null;
    return peers?.nodeOf(actorId) ?? null;
  }

  async #followLocal(): Promise<void> {
    const { signal } = this.#following;
    for await (const status of this.#options.supervisor.watch(signal)) this.#homes.onActor(status);
  }

  #onPeerActor(status: ActorStatus): void {
    const home = this.#homes.get(status.actorId);
    if (home !== undefined && home.nodeId !== status.nodeId) return; // a status reported by the node that lost it
    this.#homes.onActor(status);
  }

  /**
   * This node is in the registry again, which may have lost everything: it registers again everything that must outlive
   * the node.
   */
  async announceAgain(): Promise<void> {
    const because = this.#lostBecause ?? '?';
    await this.#abandoned;
    this.#lostBecause = null;
    if (this.#state === 'lost') this.#state = 'alive';
    await this.#homes.takeUpAgain(because);
  }
}

/** The cluster's API as a plain object, to be extended. */
export function nodeApi(cluster: Cluster): NodeApi {
  return {
    spawn: (spec) => cluster.spawn(spec),
    spawnGang: (specs) => cluster.spawnGang(specs),
    stop: (actorId, graceMs) => cluster.stop(actorId, graceMs),
    kill: (actorId) => cluster.kill(actorId),
    restart: (actorId, reason) => cluster.restart(actorId, reason),
    list: () => cluster.list(),
    watch: (signal) => cluster.watch(signal),
    listNodes: () => cluster.listNodes(),
    readLog: (actorId, options, signal) => cluster.readLog(actorId, options, signal),
  };
}

/** The same, except that actors spawned through it start on this node. */
export function ownNodeApi(cluster: Cluster): NodeApi {
  const { nodeId } = cluster.ownStatus;
  const arrival = { firstIncarnation: 1, movedBecause: null, savedState: null, homeNodeId: nodeId };
  return { ...nodeApi(cluster), spawn: async (spec) => Promise.resolve(cluster.placeHere(spec, arrival)) };
}
