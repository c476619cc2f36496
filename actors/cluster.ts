/**
 * The cluster as one node sees it, and the way to all its actors: chooses nodes, forwards what concerns an actor to the
 * node that has it, and looks after the actors that were started through this node (their home): waits for room, moves
 * them when their node is lost, and ends them with their owner.
 *
 * Without a registry the node is alone.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../common/log.ts';
import { UserError } from '../common/errors.ts';
import { checkSpec, resolveEntry } from './actor-spec.ts';
import { THREAD_HOST_TYPE } from './actor-thread.ts';
import { AsyncQueue } from './async-queue.ts';
import { CallError } from './call-errors.ts';
import { tailLog } from './log-tail.ts';
import type { NodeDirectory } from './node-directory.ts';
import { place } from './placement.ts';
import { decideRestart } from './restart-policy.ts';
import type { Labels, LogOptions, NodeApi, NodeState, NodeStatus, Resources } from './status.ts';
import type { ActorSpec, ActorStatus } from './status.ts';
import { initialStatus } from './supervised.ts';
import type { Arrival, Supervisor } from './supervisor.ts';

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
  /** The other nodes; null for none. */
  readonly peers: NodeDirectory | null;
  readonly entryRoots: readonly string[];
}

/** An actor that was started through this node. */
interface Home {
  readonly spec: ActorSpec;
  /** The node that has it; null while none has. */
  nodeId: string | null;
  /** While no node has it, and after. */
  status: ActorStatus;
  /** How its last process ended, when it moves. */
  movedBecause: string | null;
  savedState: unknown;
  readonly movesMs: number[];
  isStopped: boolean;
}

/** How often actors that wait for room are tried again, beside every change. */
const RETRY_MS = 1000;
/** How long the end of an actor on another node may take to be heard of, when that node has said that it ended. */
const HEARSAY_MS = 5000;
/** Share of the grace period in which owners end actors that hand over what they made. */
const HAND_OVER_SHARE = 0.8;

export class Cluster implements NodeApi {
  readonly #options: ClusterOptions;
  readonly #homes = new Map<string, Home>();
  readonly #watchers = new Set<AsyncQueue<ActorStatus>>();
  /** Spawns that are being decided, by id and name. */
  readonly #arriving = new Map<string, Promise<void>>();
  readonly #following = new AbortController();
  readonly #startedAt = new Date().toISOString();
  readonly #retry: NodeJS.Timeout;
  #state: NodeState = 'alive';
  /** Why the others count this node as lost; null while they do not. */
  #lostBecause: string | null = null;
  /** Until every actor that was here when this node was lost has ended. */
  #abandoned: Promise<void> = Promise.resolve();
  #placing: Promise<void> | null = null;
  #placeAgain = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    void this.#followLocal();
    options.peers?.onActor((status) => this.#onPeerActor(status));
    options.peers?.onNode((node, because) => this.#onPeerNode(node, because));
    this.#retry = setInterval(() => this.#placeWaiting(), RETRY_MS);
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

  /** One at a time for each id and name: who comes second finds the first. */
  async spawn(spec: ActorSpec): Promise<ActorStatus> {
    checkSpec(spec);
    resolveEntry(spec.entry, this.#options.entryRoots);
    const { actorId, name, namespace } = spec;
    const keys = [`id ${actorId}`, ...(name === null ? [] : [`name ${namespace}/${name}`])];
    for (let key; (key = keys.find((taken) => this.#arriving.has(taken))) !== undefined;) {
      await this.#arriving.get(key);
    }
    const accepted = this.#accept(spec);
    const settled = accepted.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#arriving.set(key, settled);
    return accepted.finally(() => {
      for (const key of keys) this.#arriving.delete(key);
    });
  }

  async #accept(spec: ActorSpec): Promise<ActorStatus> {
    await this.#awaitLeaving(spec);
    this.#refuseTaken(spec);
    const choice = place(spec, await this.listNodes());
    if (choice.kind === 'infeasible') {
      throw new UserError(`Actor ${spec.actorId} cannot be placed: ${choice.because}.`);
    }
    await this.#options.peers?.claimName(spec);
    if (spec.lifetime === 'detached') await this.#options.peers?.enterDetached(spec);
    const home: Home = {
      spec,
      nodeId: null,
      status: initialStatus(spec, 1),
      movedBecause: null,
      savedState: null,
      movesMs: [],
      isStopped: false,
    };
    this.#homes.set(spec.actorId, home);
    await this.#tryPlace(home);
    return this.#find(spec.actorId) ?? home.status;
  }

  async stop(actorId: string, graceMs?: number): Promise<void> {
    const home = this.#homes.get(actorId);
    if (home !== undefined) home.isStopped = true;
    if (home?.nodeId === null) return this.#endWaiting(home);
    const remote = this.#remoteNodeOf(actorId);
    if (remote !== null) {
      await remote.stop(actorId, graceMs);
      return this.#untilHeard(actorId, ({ state }) => state === 'dead');
    }
    await this.#options.supervisor.stop(actorId, graceMs);
    // Its process had ended before, and it waited for this node's return to the cluster.
    if (home !== undefined && this.#find(actorId)?.state !== 'dead') this.#endWaiting(home);
  }

  /** What was done on another node may be heard of a little later, when its stream had to be begun again. */
  async #untilHeard(actorId: string, isMeant: (status: ActorStatus) => boolean): Promise<void> {
    for await (const status of this.watch(AbortSignal.timeout(HEARSAY_MS)))
      if (status.actorId === actorId && isMeant(status)) return;
  }

  /** Ends an actor that no node has; its name is free again. */
  #endWaiting(home: Home): void {
    home.status = this.#find(home.spec.actorId) ?? home.status;
    home.nodeId = null;
    this.#settle(home, { state: 'dead', reason: 'stopped' });
    this.#release(home.spec);
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
    return Promise.resolve(this.#all());
  }

  async *watch(signal: AbortSignal): AsyncGenerator<ActorStatus, void, undefined> {
    const queue = new AsyncQueue<ActorStatus>();
    for (const status of this.#all()) queue.push(status);
    this.#watchers.add(queue);
    try {
      yield* queue.iterate(signal);
    } finally {
      this.#watchers.delete(queue);
    }
  }

  listNodes(): Promise<readonly NodeStatus[]> {
    return Promise.resolve(this.#nodes());
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

  /** Starts an actor on this very node. @throws as Supervisor.place; UserError for an entry that it does not run. */
  placeHere(spec: ActorSpec, arrival: Omit<Arrival, 'entry'>): ActorStatus {
    const { nodeId, supervisor, entryRoots } = this.#options;
    if (this.#state !== 'alive') throw new CallError('UNAVAILABLE', `node ${nodeId} takes no new actors`);
    const status = supervisor.place(spec, { ...arrival, entry: resolveEntry(spec.entry, entryRoots) });
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
   * Takes no new actors; ends those that are here, each within `graceMs`. Those that another node looks after, or may
   * take over, go on there when this node has left.
   */
  async drain(graceMs: number): Promise<void> {
    const { supervisor, peers } = this.#options;
    this.#state = 'draining';
    peers?.announce(this.ownStatus);
    // Threads end before their host, which ends with the node.
    const live = supervisor.list().filter(({ state, type }) => state !== 'dead' && type !== THREAD_HOST_TYPE);
    await Promise.all(live.map((status) => this.#leave(status, graceMs)));
  }

  /** Ends an actor here, so that it goes on elsewhere if it can. */
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
   * Another node may have taken over what was here: nothing of it may go on, and nothing new begin. What this node looks
   * after itself starts again when it is back.
   */
  async abandon(reason: string): Promise<void> {
    this.#lostBecause = reason;
    if (this.#state === 'alive') this.#state = 'lost';
    this.#abandoned = this.#options.supervisor.abandon(reason, ({ actorId }) => this.#homes.has(actorId));
    await this.#abandoned;
  }

  close(): void {
    this.#state = 'draining';
    clearInterval(this.#retry);
    for (const home of this.#homes.values()) home.isStopped = true;
    this.#following.abort();
    for (const queue of this.#watchers) queue.close();
  }

  /** Whether an actor that is here goes on when this node leaves. */
  #canMove({ actorId, lifetime }: ActorStatus): boolean {
    const { nodeId, supervisor, peers } = this.#options;
    const others = (peers?.nodes() ?? []).filter(({ state }) => state === 'alive');
    return others.length > 0 && (lifetime === 'detached' || supervisor.homeOf(actorId) !== nodeId);
  }

  /** As they are now: a choice and what it takes must have no await between them. */
  #nodes(): NodeStatus[] {
    const nodes = [this.ownStatus, ...(this.#options.peers?.nodes() ?? [])];
    return nodes.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  #all(): ActorStatus[] {
    const { supervisor, peers } = this.#options;
    const waiting = [...this.#homes.values()]
      .filter(({ nodeId }) => nodeId === null)
      .map(({ status }) => status);
    const newest = new Map<string, ActorStatus>();
    for (const status of [...supervisor.list(), ...(peers?.actors() ?? []), ...waiting]) {
      const known = newest.get(status.actorId);
      if (known === undefined || known.incarnation <= status.incarnation) newest.set(status.actorId, status);
    }
    return [...newest.values()];
  }

  #find(actorId: string): ActorStatus | undefined {
    const { supervisor, peers } = this.#options;
    const home = this.#homes.get(actorId);
    if (home !== undefined && home.nodeId === null) return home.status;
    return newer(supervisor.get(actorId), peers?.actor(actorId));
  }

  /** The other node that has an actor; null when this one has it, or nobody. */
  #remoteNodeOf(actorId: string): NodeApi | null {
    const { nodeId, peers } = this.#options;
    if (this.#find(actorId)?.nodeId === nodeId) return null;
    return peers?.nodeOf(actorId) ?? null;
  }

  /** What has this id or name, and is being ended already, is gone soon: a restarted owner spawns its own again. */
  async #awaitLeaving({ actorId, name, namespace }: ActorSpec): Promise<void> {
    for (const { spec, isStopped, nodeId } of [...this.#homes.values()]) {
      const isNamesake = name !== null && spec.name === name && spec.namespace === namespace;
      if (isStopped && nodeId !== null && (isNamesake || spec.actorId === actorId))
        await this.stop(spec.actorId);
    }
  }

  #refuseTaken({ actorId, name, namespace }: ActorSpec): void {
    const known = this.#find(actorId);
    if (known !== undefined && known.state !== 'dead') {
      throw new UserError(`Actor id '${actorId}' is taken: choose another, or stop that actor first.`);
    }
    if (name === null) return;
    const namesake = this.#all().find(
      (other) => other.name === name && other.namespace === namespace && other.state !== 'dead',
    );
    if (namesake !== undefined) {
      throw new CallError(
        'ALREADY_EXISTS',
        `name '${name}' is taken in namespace '${namespace}' by ${namesake.actorId}`,
      );
    }
  }

  async #tryPlace(home: Home): Promise<void> {
    const { spec } = home;
    for (const refused = new Set<string>(); ;) {
      const nodes = this.#nodes().filter(({ nodeId }) => !refused.has(nodeId));
      if (home.isStopped || home.nodeId !== null) return;
      const choice = place(spec, nodes);
      if (choice.kind !== 'node') {
        const reason = `waits for room: ${choice.because}`;
        if (home.status.reason !== reason) this.#settle(home, { state: 'pending', reason });
        return;
      }
      try {
        await this.#placeOn(home, choice.nodeId);
        return;
      } catch (thrown) {
        if (!(thrown instanceof CallError)) throw thrown;
        refused.add(choice.nodeId); // it filled up, or went away, meanwhile
      }
    }
  }

  /** @throws CallError when the node refuses, or cannot be reached. */
  async #placeOn(home: Home, nodeId: string): Promise<void> {
    const { spec, movedBecause, savedState, status } = home;
    const homeNodeId = this.#options.nodeId;
    const arrival = { firstIncarnation: status.incarnation, movedBecause, savedState, homeNodeId };
    if (nodeId === this.#options.nodeId) {
      this.placeHere(spec, arrival);
      home.nodeId = nodeId;
      return;
    }
    home.nodeId = nodeId;
    try {
      await this.#options.peers!.place(nodeId, spec, arrival);
    } catch (thrown) {
      home.nodeId = null;
      throw thrown;
    }
  }

  /** Tries everything that waits, in order of arrival; again when something changed meanwhile. */
  #placeWaiting(): void {
    this.#placeAgain = true;
    this.#placing ??= (async () => {
      while (this.#placeAgain && this.#state === 'alive') {
        this.#placeAgain = false;
        for (const home of this.#homes.values()) {
          if (home.nodeId === null && home.status.state !== 'dead') await this.#tryPlace(home);
        }
      }
    })()
      .catch((thrown: unknown) =>
        this.#options.log.error('actors that wait could not be placed', { error: thrown }),
      )
      .finally(() => (this.#placing = null));
  }

  async #followLocal(): Promise<void> {
    const { signal } = this.#following;
    for await (const status of this.#options.supervisor.watch(signal)) {
      this.#publish(status);
      if (status.state === 'dead') this.#onDead(status);
      else if (status.state === 'restarting') this.#endOwned(`${status.actorId}/${status.incarnation}`);
    }
  }

  #onPeerActor(status: ActorStatus): void {
    const home = this.#homes.get(status.actorId);
    if (home !== undefined && home.nodeId !== status.nodeId) return; // what a node says that lost it
    this.#publish(status);
    if (status.state === 'dead') this.#onDead(status);
    else if (status.state === 'restarting') this.#endOwned(`${status.actorId}/${status.incarnation}`);
  }

  #onDead({ actorId, incarnation }: ActorStatus): void {
    this.#endOwned(`${actorId}/${incarnation}`);
    const home = this.#homes.get(actorId);
    // Its successor of the same id may be here already.
    if (home !== undefined && this.#find(actorId)?.state === 'dead') this.#forget(home);
    this.#placeWaiting();
  }

  #forget({ spec }: Home): void {
    this.#homes.delete(spec.actorId);
    this.#release(spec);
  }

  /** Takes what stands for an actor out of the registry. */
  #release(spec: ActorSpec): void {
    const { peers, log } = this.#options;
    peers?.releaseName(spec);
    if (spec.lifetime === 'owner') return;
    peers?.forgetDetached(spec.actorId).catch((thrown: unknown) => {
      log.warn('a dead detached actor stays in the registry', { actorId: spec.actorId, error: thrown });
    });
  }

  /** What an actor started ends with it, unless it is detached. */
  #endOwned(owner: string): void {
    for (const { spec } of this.#homes.values()) {
      if (spec.owner !== owner || spec.lifetime !== 'owner') continue;
      this.stop(spec.actorId).catch((thrown: unknown) => {
        this.#options.log.warn('an actor did not end with its owner', {
          actorId: spec.actorId,
          error: thrown,
        });
      });
    }
  }

  #onPeerNode(node: NodeStatus, because: string | null): void {
    if (node.state === 'lost') {
      for (const home of this.#homes.values()) {
        if (home.nodeId === node.nodeId) this.#move(home, `node ${node.nodeId} is lost (${because ?? '?'})`);
      }
      this.#endOrphans(node.nodeId);
      void this.#adoptDetached(node.nodeId);
    }
    this.#placeWaiting();
  }

  /** Actors here whose home is lost have lost their owner with it. */
  #endOrphans(homeNodeId: string): void {
    const { supervisor, log } = this.#options;
    for (const { actorId, lifetime } of supervisor.livingFrom(homeNodeId)) {
      if (lifetime === 'detached') continue;
      supervisor.stop(actorId).catch((thrown: unknown) => {
        log.warn('an actor did not end with its home', { actorId, error: thrown });
      });
    }
  }

  /** Looks after a lost node's detached actors from now on, and moves those that were lost with it. */
  async #adoptDetached(lostNodeId: string): Promise<void> {
    const { supervisor, peers, log } = this.#options;
    try {
      for (const { spec, last, savedState } of (await peers?.takeDetached(lostNodeId)) ?? []) {
        const status = newer(supervisor.get(spec.actorId), last) ?? initialStatus(spec, 1);
        const home: Home = {
          ...{ spec, status, savedState, nodeId: status.nodeId },
          movedBecause: null,
          movesMs: [],
          isStopped: false,
        };
        this.#homes.set(spec.actorId, home);
        if (home.nodeId === lostNodeId || home.nodeId === null)
          this.#move(home, `node ${lostNodeId} is lost`);
      }
      this.#placeWaiting();
    } catch (thrown) {
      log.error('detached actors could not be taken over', { from: lostNodeId, error: thrown });
    }
  }

  /** This node is in the registry again, which may have forgotten everything: what must outlive the node is told again. */
  async announceAgain(): Promise<void> {
    const { nodeId, peers } = this.#options;
    const because = this.#lostBecause ?? '?';
    await this.#abandoned;
    this.#lostBecause = null;
    if (this.#state === 'lost') this.#state = 'alive';
    for (const home of [...this.#homes.values()]) {
      if (home.spec.lifetime === 'detached' && (await peers?.keepDetached(home.spec)) === false)
        this.#homes.delete(home.spec.actorId); // another node has taken it over
      else if (home.nodeId === nodeId) this.#move(home, because);
    }
    this.#placeWaiting();
  }

  /** An actor whose node is lost starts again elsewhere, if its policy allows. */
  #move(home: Home, because: string): void {
    const { peers, supervisor } = this.#options;
    const last = this.#find(home.spec.actorId) ?? home.status;
    const nowMs = performance.now();
    home.nodeId = null;
    home.status = { ...last, pid: null, address: null, metricsAddress: null, nodeId: null };
    const death = { exitCode: null, exitSignal: null };
    const decision = decideRestart(home.spec.restart, death, home.movesMs, nowMs);
    if (decision.kind === 'dead' || home.isStopped) {
      const reason = decision.kind === 'dead' ? `${because}; not restarted: ${decision.because}` : because;
      this.#settle(home, { state: 'dead', reason });
      this.#onDead(home.status);
      return;
    }
    home.movesMs.push(nowMs);
    home.movedBecause = because;
    const { actorId } = home.spec;
    home.savedState = supervisor.savedState(actorId) ?? peers?.savedState(actorId) ?? home.savedState;
    this.#settle(home, { state: 'restarting', reason: because });
    this.#endOwned(`${home.spec.actorId}/${home.status.incarnation}`);
    home.status = { ...home.status, incarnation: home.status.incarnation + 1 };
  }

  #settle(home: Home, change: Partial<ActorStatus>): void {
    home.status = { ...home.status, ...change };
    this.#publish(home.status);
  }

  #publish(status: ActorStatus): void {
    for (const queue of this.#watchers) queue.push(status);
  }
}

/** Of what two nodes say of one actor, what is true: the later incarnation; of the same, what this node says. */
function newer(own: ActorStatus | undefined, other: ActorStatus | undefined): ActorStatus | undefined {
  if (own === undefined || other === undefined) return own ?? other;
  return own.incarnation >= other.incarnation ? own : other;
}

/** The cluster's API as a plain object, to be extended. */
export function nodeApi(cluster: Cluster): NodeApi {
  return {
    spawn: (spec) => cluster.spawn(spec),
    stop: (actorId, graceMs) => cluster.stop(actorId, graceMs),
    kill: (actorId) => cluster.kill(actorId),
    restart: (actorId, reason) => cluster.restart(actorId, reason),
    list: () => cluster.list(),
    watch: (signal) => cluster.watch(signal),
    listNodes: () => cluster.listNodes(),
    readLog: (actorId, options, signal) => cluster.readLog(actorId, options, signal),
  };
}

/** The same, but what is spawned through it starts on this very node. */
export function ownNodeApi(cluster: Cluster): NodeApi {
  const { nodeId } = cluster.ownStatus;
  const arrival = { firstIncarnation: 1, movedBecause: null, savedState: null, homeNodeId: nodeId };
  return { ...nodeApi(cluster), spawn: async (spec) => Promise.resolve(cluster.placeHere(spec, arrival)) };
}
