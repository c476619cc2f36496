/**
 * This process's view of a node's actors: one watch for every handle, pool and group of its system. If the watch breaks
 * while the node lives (because only one side noticed a broken link, for example), it starts again.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../common/errors.ts';
import { ActorError, CallError } from '../base/call-errors.ts';
import { type Limits, withLimits } from '../base/limits.ts';
import { retryDelayMs } from '../base/retry.ts';
import type { ActorStatus, NodeApi } from '../status/status.ts';
import { LatestDead } from '../status/latest-dead.ts';
import { StatusFeed, type StatusListener } from '../status/status-feed.ts';
import type { Transport } from '../calls/transport.ts';

/** How long a node may take to answer after a watch broke, before its actors count as dead. */
const PATIENCE_MS = 2000;

export class ActorDirectory {
  readonly #node: NodeApi;
  readonly #transport: Transport;
  readonly #statuses = new Map<string, ActorStatus>();
  readonly #dead = new LatestDead();
  readonly #feed = new StatusFeed();
  /** By actor: resolves when no call waits for it any more. */
  readonly #queues = new Map<string, Promise<void>>();
  readonly #controller = new AbortController();
  #watching: Promise<void> | null = null;
  #nodeLoss: Error | null = null;

  constructor(node: NodeApi, transport: Transport) {
    this.#node = node;
    this.#transport = transport;
  }

  /** Adds the status that a spawn returned, unless the watch was faster. */
  add(status: ActorStatus): void {
    this.#watch();
    const known = this.#statuses.get(status.actorId);
    const isNewLife = known?.state === 'dead' && status.state !== 'dead';
    if (known === undefined || isNewLife) this.#set(status);
  }

  /** Whether the node is gone, so that no statuses arrive until it answers again, if it ever does. */
  get isLost(): boolean {
    return this.#nodeLoss !== null;
  }

  /** The last known status. */
  get(actorId: string): ActorStatus | undefined {
    return this.#statuses.get(actorId);
  }

  /**
   * The first status that `choose` accepts, now or later. `choose` may throw to give up.
   * @throws ActorError NOT_FOUND for an unknown actor, UNAVAILABLE when the node is gone; as `withLimits`.
   */
  async waitFor(
    actorId: string,
    choose: (status: ActorStatus) => boolean,
    limits: Limits,
  ): Promise<ActorStatus> {
    this.#watch();
    const known = this.#statuses.get(actorId) ?? (await this.#lookUp(actorId));
    if (this.#nodeLoss !== null) throw this.#lost(actorId, this.#nodeLoss);
    if (choose(known)) return known;
    let stop: () => void = () => undefined;
    const chosen = new Promise<ActorStatus>((resolve, reject) => {
      stop = this.listen((status) => {
        try {
          if (this.#nodeLoss !== null) throw this.#lost(actorId, this.#nodeLoss);
          if (choose(status)) resolve(status);
        } catch (thrown) {
          reject(toError(thrown));
        }
      }, actorId);
    });
    try {
      return await withLimits(chosen, limits, `waiting for actor ${actorId}`);
    } catch (thrown) {
      throw thrown instanceof CallError ? this.#waitError(actorId, thrown) : thrown;
    } finally {
      stop();
    }
  }

  /** Whether calls wait for an actor in `waitInTurn`: one made now must wait behind them. */
  isAwaited(actorId: string): boolean {
    return this.#queues.has(actorId);
  }

  /**
   * As `waitFor`, and resolves only after the waits for this actor that began before, and the code that awaits them
   * directly. It throws without waiting for its turn.
   */
  waitInTurn(
    actorId: string,
    choose: (status: ActorStatus) => boolean,
    limits: Limits,
  ): Promise<ActorStatus> {
    const earlier = this.#queues.get(actorId);
    let turn = this.waitFor(actorId, choose, limits);
    if (earlier !== undefined) {
      turn = turn
        .then(() => withLimits(earlier, limits, `waiting for earlier calls of actor ${actorId}`))
        .then(() => this.waitFor(actorId, choose, limits));
    }
    const ignore = () => undefined;
    const over: Promise<void> = turn.then(ignore, ignore).then(() => earlier);
    this.#queues.set(actorId, over);
    void over.then(() => {
      if (this.#queues.get(actorId) === over) this.#queues.delete(actorId);
    });
    return turn;
  }

  /**
   * Calls the listener at each change of an actor, or of any actor if none is named; returns a function that stops it.
   * When the node is gone, its actors are reported dead.
   */
  listen(listener: StatusListener, actorId?: string): () => void {
    this.#watch();
    return this.#feed.listen(listener, actorId);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#watching;
  }

  #watch(): void {
    this.#watching ??= this.#follow();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#controller;
    do {
      try {
        for await (const status of this.#node.watch(signal)) this.#set(status);
        if (!signal.aborted) this.#lose(new Error('the node ended the watch'));
        return;
      } catch (thrown) {
        if (!(await this.#answersAgain(toError(thrown)))) return;
      }
    } while (!signal.aborted);
  }

  /** Waits until the node answers after a broken watch; false when it refuses, or nobody listens any more. */
  async #answersAgain(broken: Error): Promise<boolean> {
    const { signal } = this.#controller;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const known = [...this.#statuses.values()];
      try {
        const limits = { deadlineMs: PATIENCE_MS, signal };
        const present = await withLimits(this.#node.list(), limits, 'listing the actors of the node');
        const ids = new Set(present.map(({ actorId }) => actorId));
        this.#nodeLoss = null;
        this.#endAll(
          known.filter(({ actorId }) => !ids.has(actorId)),
          'its node no longer knows it',
        );
        return true;
      } catch (thrown) {
        if (signal.aborted) return false;
        if (this.#nodeLoss === null) this.#lose(broken);
        if (!isOutOfReach(thrown)) return false;
      }
      const waitMs = retryDelayMs(attempt, Math.random());
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    return false;
  }

  #lose(cause: Error): void {
    this.#nodeLoss = cause;
    this.#endAll([...this.#statuses.values()], this.#lossReason(cause));
  }

  #endAll(statuses: readonly ActorStatus[], reason: string): void {
    for (const { actorId } of statuses) {
      const status = this.#statuses.get(actorId);
      if (status !== undefined && status.state !== 'dead')
        this.#set({ ...status, state: 'dead', reason, pid: null, address: null });
    }
  }

  #set(status: ActorStatus): void {
    const address = this.#statuses.get(status.actorId)?.address ?? null;
    this.#statuses.set(status.actorId, status);
    const forgotten = this.#dead.note(status);
    if (forgotten !== null) this.#statuses.delete(forgotten);
    if (address !== null && address !== status.address) this.#dropIfUnused(address);
    this.#feed.tell(status);
  }

  /** Drops the connection to an address without a known living actor. */
  #dropIfUnused(address: string): void {
    for (const status of this.#statuses.values()) {
      if (status.state === 'alive' && status.address === address) return;
    }
    this.#transport.drop(address);
  }

  #lossReason({ message }: Error): string {
    return `its node is gone (${message})`;
  }

  async #lookUp(actorId: string): Promise<ActorStatus> {
    const listed = (await this.#node.list()).find((status) => status.actorId === actorId);
    if (listed !== undefined && !this.#statuses.has(actorId)) this.#set(listed); // the watch reports it later
    const status = this.#statuses.get(actorId);
    if (status !== undefined) return status;
    const reason = 'the node knows no such actor';
    throw new ActorError({ actorId, incarnation: 0, code: 'NOT_FOUND', retryable: false, reason });
  }

  /** Converts an expired wait into the actor's error. */
  #waitError(actorId: string, error: CallError): CallError {
    const status = this.#statuses.get(actorId);
    if (error instanceof ActorError || status === undefined) return error;
    const { incarnation, state } = status;
    const reason = `still ${state} when the deadline passed (${status.reason})`;
    return new ActorError({ actorId, incarnation, code: error.code, retryable: true, reason, cause: error });
  }

  #lost(actorId: string, cause: Error): ActorError {
    const incarnation = this.#statuses.get(actorId)?.incarnation ?? 0;
    const reason = this.#lossReason(cause);
    return new ActorError({ actorId, incarnation, code: 'UNAVAILABLE', retryable: false, reason, cause });
  }
}

function isOutOfReach(thrown: unknown): boolean {
  return (
    thrown instanceof CallError && (thrown.code === 'UNAVAILABLE' || thrown.code === 'DEADLINE_EXCEEDED')
  );
}
