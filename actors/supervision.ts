/**
 * Supervision trees: a group of actors, or of groups, that fail and restart together. Each child's own node restarts
 * it; the group restarts those that depend on it, and gives up (escalates) when failures come too often: it ends its
 * children, and its parent treats that as the failure of one child.
 */

import type { ActorHandle, ActorType } from './handle.ts';
import type { ActorStatus } from './status.ts';
import { alsoRestarted, isTooIntense } from './supervision-policy.ts';
import type { SupervisionStrategy } from './supervision-policy.ts';
import type { ActorSystem, SpawnOptions } from './system.ts';

export interface GroupOptions {
  readonly strategy: SupervisionStrategy;
  /** Failures within the window that the group mends; one more and it gives up. 3 by default. */
  readonly maxRestarts?: number;
  /** Ten minutes by default. */
  readonly windowMs?: number;
}

/** A group has given up, and ended its children. */
export class GroupFailed extends Error {
  override readonly name = 'GroupFailed';
}

/** A child, as its group sees it. */
interface Child {
  /** Ends what is left of it and starts it anew. */
  restart(reason: string): Promise<void>;
  stop(): Promise<void>;
}

export class SupervisionGroup {
  readonly #system: ActorSystem;
  readonly #strategy: SupervisionStrategy;
  readonly #limits: { readonly maxRestarts: number; readonly windowMs: number };
  readonly #children: Child[] = [];
  /** Child by actor id, with the incarnation that its next failure ends. */
  readonly #actors = new Map<string, { readonly index: number; incarnation: number }>();
  readonly #failuresMs: number[] = [];
  readonly #watch = new AbortController();
  readonly #watching: Promise<void>;
  readonly #failed: Promise<GroupFailed>;
  #fail!: (error: GroupFailed) => void;
  #hasFailed = false;

  constructor(system: ActorSystem, options: GroupOptions) {
    const { strategy, maxRestarts = 3, windowMs = 600_000 } = options;
    this.#system = system;
    this.#strategy = strategy;
    this.#limits = { maxRestarts, windowMs };
    this.#failed = new Promise((resolve) => (this.#fail = resolve));
    this.#watching = this.#follow();
  }

  /** Resolves with the reason when the group has given up; never, otherwise. */
  get failed(): Promise<GroupFailed> {
    return this.#failed;
  }

  /** Starts a child; later children depend on earlier ones. Its own restart limits count too. */
  async spawn<Client, Handlers>(
    type: ActorType<Client, Handlers>,
    options: SpawnOptions = {},
  ): Promise<ActorHandle<Client>> {
    const handle = await this.#system.spawn(type, options);
    const { actorId } = handle;
    this.#actors.set(actorId, { index: this.#children.length, incarnation: 1 });
    this.#children.push({
      restart: (reason) => this.#system.node.restart(actorId, reason),
      stop: () => this.#system.stop(actorId),
    });
    return handle;
  }

  /** A group as a child: `start` fills it, now and whenever it is restarted. */
  async spawnGroup(options: GroupOptions, start: (group: SupervisionGroup) => Promise<void>): Promise<void> {
    const index = this.#children.length;
    let group: SupervisionGroup;
    const begin = async () => {
      group = new SupervisionGroup(this.#system, options);
      const own = group;
      void own.failed.then(async (error) => {
        if (group !== own || this.#hasFailed) return;
        if (await this.#onFailure(index, error.message)) await begin();
      });
      await start(group);
    };
    this.#children.push({
      restart: async () => {
        await group.stop();
        await begin();
      },
      stop: () => group.stop(),
    });
    await begin();
  }

  /** Ends every child, the last one first. */
  async stop(): Promise<void> {
    this.#watch.abort();
    await this.#watching;
    for (const child of [...this.#children].reverse()) await child.stop();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#watch;
    for await (const status of this.#system.node.watch(signal)) await this.#onStatus(status);
  }

  async #onStatus({ actorId, incarnation, state, reason }: ActorStatus): Promise<void> {
    const actor = this.#actors.get(actorId);
    if (actor === undefined || this.#hasFailed || incarnation < actor.incarnation) return;
    if (state === 'dead') return this.#giveUp(`actor ${actorId} ended for good: ${reason}`);
    if (state !== 'restarting') return;
    actor.incarnation = incarnation + 1;
    await this.#onFailure(actor.index, `actor ${actorId} ${reason}`);
  }

  /** Restarts what depends on a failed child. Resolves to whether the group goes on. */
  async #onFailure(failed: number, reason: string): Promise<boolean> {
    const nowMs = performance.now();
    if (isTooIntense(this.#failuresMs, nowMs, this.#limits)) {
      const { maxRestarts, windowMs } = this.#limits;
      await this.#giveUp(`more than ${maxRestarts} failures in ${windowMs / 1000} s, the last: ${reason}`);
      return false;
    }
    this.#failuresMs.push(nowMs);
    for (const index of alsoRestarted(this.#strategy, failed, this.#children.length)) {
      this.#expectRestart(index);
      await this.#children[index]!.restart(`its group restarts it (${this.#strategy}): ${reason}`);
    }
    return true;
  }

  /** The restart that the group itself asks for is no failure. */
  #expectRestart(index: number): void {
    for (const actor of this.#actors.values()) if (actor.index === index) actor.incarnation++;
  }

  async #giveUp(reason: string): Promise<void> {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#watch.abort();
    for (const child of [...this.#children].reverse()) await child.stop().catch(() => undefined);
    this.#fail(new GroupFailed(reason));
  }
}
