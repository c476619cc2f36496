/**
 * Actors that were started through this node (their home): it waits for room, moves them when their node is lost, and
 * ends them with their owner.
 */

import type { Log } from '../../common/log.ts';
import { UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { type ClusterView, newer } from './cluster-view.ts';
import { Gang } from './gang.ts';
import { type Home, newHome, wholeOf } from './home.ts';
import type { NodeDirectory } from './node-directory.ts';
import type { Claim } from '../supervisor/node-room.ts';
import { chooseNode, ruleOf } from './bundles.ts';
import { placeGang } from './placement.ts';
import { decideRestart } from '../status/restart-policy.ts';
import type { ActorSpec, ActorStatus, NodeStatus } from '../status/status.ts';
import { LatestDead } from '../status/latest-dead.ts';
import { initialStatus } from '../supervisor/supervised.ts';
import type { Arrival, Supervisor } from '../supervisor/supervisor.ts';

/** How long a node that rejoins waits for the homes of its actors, which may rejoin later. */
const STRANDED_MS = 5000;

export interface HomesOptions {
  readonly nodeId: string;
  readonly log: Log;
  readonly supervisor: Supervisor;
  readonly peers: NodeDirectory | null;
  readonly view: ClusterView;
  readonly homes: Map<string, Home>;
  /** Starts an actor on this node. */
  readonly placeHere: (spec: ActorSpec, arrival: Omit<Arrival, 'entry'>) => void;
  /** Holds room on this node; 0 milliseconds releases it. */
  readonly claimHere: (claims: readonly Claim[], holdMs: number) => void;
  /** Whether this node may start anything now. */
  readonly isOpen: () => boolean;
  /** Ends an actor on any node. */
  readonly stop: (actorId: string) => Promise<void>;
}

export class Homes {
  readonly #options: HomesOptions;
  readonly #homes: Map<string, Home>;
  #placing: Promise<void> | null = null;
  #placeAgain = false;
  /** Dead actors that were on no node. */
  readonly #ended = new LatestDead();

  constructor(options: HomesOptions) {
    this.#options = options;
    this.#homes = options.homes;
  }

  get(actorId: string): Home | undefined {
    return this.#homes.get(actorId);
  }

  /** Accepts an actor, and starts it if there is room. @throws as NodeApi.spawn */
  async accept(spec: ActorSpec): Promise<ActorStatus> {
    const { view, peers } = this.#options;
    await this.#awaitLeaving(spec);
    const choose = () => {
      this.#refuseTaken(spec);
      return chooseNode(spec, view.nodes(), view.actors());
    };
    let choice = choose();
    if (choice.kind === 'infeasible' && peers !== null) {
      await peers.catchUp();
      choice = choose();
    }
    if (choice.kind === 'infeasible') {
      throw new UserError(`Actor ${spec.actorId} cannot be placed: ${choice.because}.`);
    }
    const home = await this.#enter(spec);
    await this.#tryPlace(home);
    return view.find(spec.actorId) ?? home.status;
  }

  /** Accepts actors that start together or not at all. @throws as NodeApi.spawnGang */
  async acceptGang(specs: readonly ActorSpec[]): Promise<ActorStatus[]> {
    const { view, peers } = this.#options;
    refuseTwins(specs);
    for (const spec of specs) await this.#awaitLeaving(spec);
    const choose = () => {
      for (const spec of specs) this.#refuseTaken(spec);
      refuseTakenGroup(specs[0]!, view.actors());
      return placeGang(specs, view.nodes(), ruleOf(specs, view.actors()));
    };
    let choice = choose();
    if (!Array.isArray(choice) && choice.kind === 'infeasible' && peers !== null) {
      await peers.catchUp();
      choice = choose();
    }
    if (!Array.isArray(choice) && choice.kind === 'infeasible') {
      const { group } = specs[0]!;
      const what = group === null ? `A gang of ${specs.length}` : `Placement group ${group}`;
      throw new UserError(`${what} cannot be placed: ${choice.because}.`);
    }
    const homes: Home[] = [];
    try {
      for (const spec of specs) homes.push(await this.#enter(spec));
    } catch (thrown) {
      for (const home of homes) this.endWaiting(home);
      throw thrown;
    }
    await this.#newGang(homes).tryPlace();
    return homes.map((home) => view.find(home.spec.actorId) ?? home.status);
  }

  #newGang(homes: readonly Home[]): Gang {
    const specs = homes.map(({ spec }) => spec);
    const { view, nodeId: ownId, peers } = this.#options;
    const claim = async (nodeId: string, claims: readonly Claim[], holdMs: number) => {
      if (nodeId === ownId) this.#options.claimHere(claims, holdMs);
      else await peers!.claim(nodeId, claims, holdMs);
    };
    return new Gang(homes, {
      nodes: () => view.nodes(),
      rule: () => ruleOf(specs, view.actors()),
      claim,
      giveBack: (nodeId, ids) =>
        claim(
          nodeId,
          ids.map((actorId) => ({ actorId, resources: {} })),
          0,
        ),
      placeOn: (home, nodeId) => this.#placeOn(home, nodeId),
      wait: (home, reason) => this.#wait(home, reason),
      end: (home, reason) => {
        home.isStopped = true;
        if (home.nodeId === null) this.endWaiting(home, reason);
        else this.#end(home.spec.actorId, `its ${wholeOf(home.spec)}`);
      },
    });
  }

  async #enter(spec: ActorSpec): Promise<Home> {
    const { peers } = this.#options;
    await peers?.claimName(spec);
    if (spec.lifetime === 'detached') await peers?.enterDetached(spec);
    // Its incarnations continue after those of an earlier actor with this id, so that a status of one is never taken
    // for the other.
    const earlier = this.#options.view.lastIncarnation(spec.actorId);
    const home = newHome(spec, initialStatus(spec, earlier + 1));
    this.#homes.set(spec.actorId, home);
    return home;
  }

  /** Ends an actor that is on no node; its name becomes free. */
  endWaiting(home: Home, reason = 'stopped'): void {
    home.status = this.#options.view.find(home.spec.actorId) ?? home.status;
    home.nodeId = null;
    this.#settle(home, { state: 'dead', reason });
    this.#release(home.spec);
    home.spec = { ...home.spec, args: null, env: {} };
    const forgotten = this.#ended.note(home.status);
    if (forgotten !== null && this.#homes.get(forgotten)?.status.state === 'dead')
      this.#homes.delete(forgotten);
    if (home.spec.group !== null) this.placeWaiting(); // ends those that were to be in the bundle
    home.gang?.end(`its ${wholeOf(home.spec)} did not start: ${home.spec.actorId} was ${reason}`);
  }

  /** Stops starting and moving actors. */
  stopAll(): void {
    for (const home of this.#homes.values()) home.isStopped = true;
  }

  /** Retries everything that waits, in order of arrival; once more if something changed meanwhile. */
  placeWaiting(): void {
    this.#placeAgain = true;
    this.#placing ??= (async () => {
      while (this.#placeAgain && this.#options.isOpen()) {
        this.#placeAgain = false;
        for (const home of this.#homes.values()) {
          if (home.nodeId !== null || home.status.state === 'dead') continue;
          await (home.gang?.isTogether ? home.gang.tryPlace() : this.#tryPlace(home));
        }
      }
    })()
      .catch((thrown: unknown) =>
        this.#options.log.error('placing the waiting actors failed', { error: thrown }),
      )
      .finally(() => (this.#placing = null));
  }

  /** Handles an actor status that a node reports. */
  onActor(status: ActorStatus): void {
    const { view } = this.#options;
    view.publish(status);
    const { actorId, incarnation, state, reason } = status;
    const gang = this.#homes.get(actorId)?.gang;
    if (state === 'alive') gang?.born(actorId);
    else if (state === 'dead')
      gang?.end(`its ${wholeOf(status)} did not start: ${actorId} is dead, ${reason}`);
    if (state === 'dead') this.#onDead(status);
    else if (state === 'alive' && status.group !== null)
      this.placeWaiting(); // those that are to be in the bundle
    else if (state === 'restarting') this.#endOwned(`${actorId}/${incarnation}`);
  }

  /** Another node joined, changed, or is lost; `because` says why. */
  onNode({ nodeId, state }: NodeStatus, because: string | null): void {
    if (state === 'lost') {
      for (const home of this.#homes.values()) {
        if (home.nodeId === nodeId) this.#move(home, `node ${nodeId} is lost (${because ?? '?'})`);
      }
      this.#gatherBundles();
      this.#endOrphans(nodeId);
      void this.#adoptDetached(nodeId);
    }
    this.placeWaiting();
  }

  /** This node was lost, and all its actors with it; it has rejoined the registry, which may have lost everything. */
  async takeUpAgain(because: string): Promise<void> {
    const { nodeId, peers } = this.#options;
    for (const home of [...this.#homes.values()]) {
      if (home.spec.lifetime === 'detached' && (await peers?.keepDetached(home.spec)) === false)
        this.#homes.delete(home.spec.actorId); // another node has taken it over
      else if (home.nodeId === nodeId) this.#move(home, because);
    }
    this.#gatherBundles();
    this.placeWaiting();
    setTimeout(() => {
      this.#adoptStranded(because).catch((thrown: unknown) => {
        this.#options.log.error('detached actors could not be taken over', { error: thrown });
      });
    }, STRANDED_MS).unref();
  }

  /**
   * Detached actors that were here for a node that is gone, and that the registry lost too: no other node can look
   * after them.
   */
  async #adoptStranded(because: string): Promise<void> {
    const { nodeId, supervisor, peers, isOpen } = this.#options;
    for (const { spec, status, savedState, homeNodeId } of supervisor.movedAway()) {
      if (!isOpen() || homeNodeId === nodeId || this.#homes.has(spec.actorId)) continue;
      if ((await peers?.keepDetached(spec)) !== true) {
        supervisor.forgetMoved(spec.actorId);
        continue;
      }
      const home = newHome(spec, status, savedState);
      this.#homes.set(spec.actorId, home);
      await peers?.claimName(spec);
      this.#move(home, because);
    }
    this.placeWaiting();
  }

  /** Waits for an actor with this id or name that is already ending: a restarted owner spawns its own again. */
  async #awaitLeaving({ actorId, name, namespace }: ActorSpec): Promise<void> {
    for (const { spec, isStopped, nodeId } of [...this.#homes.values()]) {
      const isNamesake = name !== null && spec.name === name && spec.namespace === namespace;
      if (isStopped && nodeId !== null && (isNamesake || spec.actorId === actorId))
        await this.#options.stop(spec.actorId);
    }
  }

  #refuseTaken({ actorId, name, namespace }: ActorSpec): void {
    const { view } = this.#options;
    const known = view.find(actorId);
    if (known !== undefined && known.state !== 'dead') {
      throw new CallError(
        'ALREADY_EXISTS',
        `Actor id '${actorId}' is taken: choose another, or stop that actor first.`,
      );
    }
    if (name === null) return;
    const namesake = view
      .actors()
      .find((other) => other.name === name && other.namespace === namespace && other.state !== 'dead');
    if (namesake !== undefined) {
      throw new CallError(
        'ALREADY_EXISTS',
        `name '${name}' is taken in namespace '${namespace}' by ${namesake.actorId}`,
      );
    }
  }

  async #tryPlace(home: Home): Promise<void> {
    const { view } = this.#options;
    const { spec } = home;
    for (const refused = new Set<string>(); ;) {
      const nodes = view.nodes().filter(({ nodeId }) => !refused.has(nodeId));
      if (home.isStopped || home.nodeId !== null) return;
      const choice = chooseNode(spec, nodes, view.actors());
      if (choice.kind === 'infeasible' && spec.bundle !== null)
        return this.endWaiting(home, `stopped: ${choice.because}`);
      if (choice.kind !== 'node') return this.#wait(home, `waits for room: ${choice.because}`);
      try {
        await this.#placeOn(home, choice.nodeId);
        return;
      } catch (thrown) {
        if (!(thrown instanceof CallError)) throw thrown;
        refused.add(choice.nodeId); // it filled up, or left, meanwhile
      }
    }
  }

  #wait(home: Home, reason: string): void {
    if (home.status.reason !== reason) this.#settle(home, { state: 'pending', reason });
  }

  /** @throws CallError when the node refuses, or cannot be reached. */
  async #placeOn(home: Home, nodeId: string): Promise<void> {
    const { nodeId: homeNodeId, placeHere, peers } = this.#options;
    const { spec, movedBecause, savedState, status } = home;
    const arrival = { firstIncarnation: status.incarnation, movedBecause, savedState, homeNodeId };
    if (nodeId === homeNodeId) {
      placeHere(spec, arrival);
      home.nodeId = nodeId;
      return;
    }
    home.nodeId = nodeId;
    try {
      await peers!.place(nodeId, spec, arrival);
    } catch (thrown) {
      home.nodeId = null;
      throw thrown;
    }
  }

  #onDead({ actorId, incarnation }: ActorStatus): void {
    this.#endOwned(`${actorId}/${incarnation}`);
    const home = this.#homes.get(actorId);
    // Its successor with the same id may be here already.
    if (home !== undefined && this.#options.view.find(actorId)?.state === 'dead') {
      this.#homes.delete(actorId);
      this.#release(home.spec);
    }
    this.placeWaiting();
  }

  /** Removes an actor's entries from the registry. */
  #release(spec: ActorSpec): void {
    const { peers, log } = this.#options;
    peers?.releaseName(spec);
    if (spec.lifetime === 'owner') return;
    peers?.forgetDetached(spec.actorId).catch((thrown: unknown) => {
      log.warn('a dead detached actor could not be removed from the registry', {
        actorId: spec.actorId,
        error: thrown,
      });
    });
  }

  /** Actors that an actor started end with it, unless they are detached. */
  #endOwned(owner: string): void {
    for (const { spec } of this.#homes.values()) {
      if (spec.owner === owner && spec.lifetime === 'owner') this.#end(spec.actorId, 'its owner');
    }
  }

  /** Actors here whose home is lost have lost their owner too. */
  #endOrphans(homeNodeId: string): void {
    for (const { actorId, lifetime } of this.#options.supervisor.livingFrom(homeNodeId)) {
      if (lifetime === 'owner') this.#end(actorId, 'its home');
    }
  }

  #end(actorId: string, withWhat: string): void {
    this.#options.stop(actorId).catch((thrown: unknown) => {
      this.#options.log.warn('an actor did not end', { actorId, with: withWhat, error: thrown });
    });
  }

  /** Adopts a lost node's detached actors, and moves those that were lost with it. */
  async #adoptDetached(lostNodeId: string): Promise<void> {
    const { supervisor, peers, log } = this.#options;
    try {
      for (const { spec, last, savedState } of (await peers?.takeDetached(lostNodeId)) ?? []) {
        const status = newer(supervisor.get(spec.actorId), last) ?? initialStatus(spec, 1);
        const home = newHome(spec, status, savedState);
        this.#homes.set(spec.actorId, home);
        if (home.nodeId === lostNodeId || home.nodeId === null)
          this.#move(home, `node ${lostNodeId} is lost`);
      }
      this.#gatherBundles();
      this.placeWaiting();
    } catch (thrown) {
      log.error('detached actors could not be taken over', { from: lostNodeId, error: thrown });
    }
  }

  /** Starts an actor whose node is lost on another one, if its policy allows. */
  #move(home: Home, because: string): void {
    const { peers, supervisor, view } = this.#options;
    const { actorId, restart } = home.spec;
    const last = view.find(actorId) ?? home.status;
    const nowMs = performance.now();
    home.nodeId = null;
    home.status = { ...last, pid: null, address: null, metricsAddress: null, nodeId: null };
    const death = { exitCode: null, exitSignal: null };
    const decision = decideRestart(restart, death, home.movesMs, nowMs);
    if (decision.kind === 'dead' || home.isStopped) {
      const reason = decision.kind === 'dead' ? `${because}; not restarted: ${decision.because}` : because;
      this.#settle(home, { state: 'dead', reason });
      this.#onDead(home.status);
      return;
    }
    home.movesMs.push(nowMs);
    home.movedBecause = because;
    home.savedState = supervisor.savedState(actorId) ?? peers?.savedState(actorId) ?? home.savedState;
    this.#settle(home, { state: 'restarting', reason: because });
    this.#endOwned(`${actorId}/${home.status.incarnation}`);
    home.status = { ...home.status, incarnation: home.status.incarnation + 1 };
  }

  /** Bundles that have lost their nodes get new ones as they got the first: all of a group, or none. */
  #gatherBundles(): void {
    const lost = [...this.#homes.values()].filter(
      ({ spec, nodeId, gang, status }) =>
        spec.group !== null && nodeId === null && gang === null && status.state !== 'dead',
    );
    for (const group of new Set(lost.map(({ spec }) => spec.group)))
      this.#newGang(lost.filter(({ spec }) => spec.group === group));
  }

  #settle(home: Home, change: Partial<ActorStatus>): void {
    home.status = { ...home.status, ...change };
    this.#options.view.publish(home.status);
  }
}

/** @throws CallError ALREADY_EXISTS when a placement group has bundles already. */
function refuseTakenGroup({ group }: ActorSpec, actors: readonly ActorStatus[]): void {
  if (group !== null && actors.some((other) => other.group === group && other.state !== 'dead'))
    throw new CallError(
      'ALREADY_EXISTS',
      `Placement group '${group}' is there already: choose another id, or remove it first.`,
    );
}

/** @throws UserError when two actors of a gang have the same id or name. */
function refuseTwins(specs: readonly ActorSpec[]): void {
  if (specs.length === 0) throw new UserError('A gang needs at least one actor.');
  const ids = specs.map(({ actorId }) => `Actor id '${actorId}'`);
  const names = specs.flatMap(({ name, namespace }) =>
    name === null ? [] : [`Actor name '${name}' in '${namespace}'`],
  );
  const twice = [...ids, ...names].find((one, i, all) => all.indexOf(one) !== i);
  if (twice !== undefined) throw new UserError(`${twice} is used twice in one gang: choose another one.`);
}
