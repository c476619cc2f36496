/**
 * Supervision trees: a group of actors, or of groups, that fail and restart together. Each child's own node restarts
 * it; the group restarts those that depend on it, and gives up (escalates) when failures are too frequent: it ends its
 * children, and its parent treats that as the failure of one child.
 */

import { toError, UserError } from '../../common/errors.ts';
import { checkMilliseconds, checkWhole, shown } from '../base/checks.ts';
import type { ActorHandle } from '../system/handle.ts';
import type { ActorType } from '../system/actor-type.ts';
import type { ActorStatus } from '../status/status.ts';
import {
  alsoRestarted,
  isSupervisionStrategy,
  isTooIntense,
  SUPERVISION_STRATEGIES,
} from './supervision-policy.ts';
import type { SupervisionStrategy } from './supervision-policy.ts';
import { STARTING } from '../supervisor/supervised.ts';
import type { ActorSystem } from '../system/system.ts';
import type { SpawnOptions } from '../system/actor-type.ts';

export interface GroupOptions {
  readonly strategy: SupervisionStrategy;
  /** Failures within the window that the group handles; one more and it gives up. 3 by default. */
  readonly maxRestarts?: number;
  /** Ten minutes by default. */
  readonly windowMs?: number;
}

/** Prefix of the reason of a restart that a group requested. */
const GROUP_RESTART = 'its group restarts it';

/** A group has given up, and ended its children. */
export class GroupFailed extends Error {
  override readonly name = 'GroupFailed';
}

/** A child, as its group sees it. */
interface Child {
  /** Ends what is left of the child and starts it again. */
  restart(reason: string): Promise<void>;
  stop(): Promise<void>;
}

export class SupervisionGroup {
  readonly #system: ActorSystem;
  readonly #strategy: SupervisionStrategy;
  readonly #limits: { readonly maxRestarts: number; readonly windowMs: number };
  readonly #children: Child[] = [];
  /** Children that are actors, by id; `createdAt` distinguishes this life from an earlier one with the same id. */
  readonly #actors = new Map<string, { readonly index: number; readonly createdAt: string }>();
  readonly #failuresMs: number[] = [];
  readonly #stopListening: () => void;
  /** Serialises the handling of children's failures. */
  #dealing: Promise<void> = Promise.resolve();
  readonly #failed: Promise<GroupFailed>;
  #fail!: (error: GroupFailed) => void;
  #isOver = false;

  constructor(system: ActorSystem, options: GroupOptions) {
    const { strategy, maxRestarts = 3, windowMs = 600_000 } = options;
    checkOptions({ strategy, maxRestarts, windowMs });
    this.#system = system;
    this.#strategy = strategy;
    this.#limits = { maxRestarts, windowMs };
    this.#failed = new Promise((resolve) => (this.#fail = resolve));
    this.#stopListening = system.onStatus((status) => {
      this.#dealing = this.#dealing
        .then(() => this.#onStatus(status))
        .catch((thrown: unknown) => this.#giveUp(`it cannot restart a child: ${toError(thrown).message}`));
    });
  }

  /** Resolves with the reason when the group has given up; otherwise never. */
  get failed(): Promise<GroupFailed> {
    return this.#failed;
  }

  /** Starts a child; later children depend on earlier ones. The child's own restart limits apply too. */
  async spawn<Client, Handlers>(
    type: ActorType<Client, Handlers>,
    options: SpawnOptions = {},
  ): Promise<ActorHandle<Client>> {
    const handle = await this.#system.spawn(type, options);
    const { actorId } = handle;
    const index = this.#children.length;
    this.#children.push({
      restart: (reason) => this.#system.node.restart(actorId, reason),
      stop: () => this.#system.stop(actorId),
    });
    const status = (await this.#system.node.list()).find((actor) => actor.actorId === actorId);
    this.#actors.set(actorId, { index, createdAt: status?.createdAt ?? '' });
    if (status?.state === 'dead') await this.#onStatus(status); // it was reported before anybody listened
    return handle;
  }

  /** A group as a child: `start` fills it, now and at each restart. */
  async spawnGroup(options: GroupOptions, start: (group: SupervisionGroup) => Promise<void>): Promise<void> {
    const index = this.#children.length;
    let group: SupervisionGroup;
    const begin = async () => {
      group = new SupervisionGroup(this.#system, options);
      const own = group;
      void own.failed.then(async (error) => {
        if (group !== own || this.#isOver) return;
        try {
          if (await this.#onFailure(index, error.message)) await begin();
        } catch (thrown) {
          await this.#giveUp(`a group in it did not start again: ${toError(thrown).message}`);
        }
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
    this.#isOver = true;
    this.#stopListening();
    await this.#dealing;
    for (const child of [...this.#children].reverse()) await child.stop();
  }

  async #onStatus({ actorId, state, pid, reason, createdAt }: ActorStatus): Promise<void> {
    const actor = this.#actors.get(actorId);
    if (actor === undefined || this.#isOver || createdAt < actor.createdAt) return;
    if (state === 'dead') return this.#giveUp(`actor ${actorId} ended permanently: ${reason}`);
    const hasFailed = state === 'restarting' && pid === null && reason !== STARTING;
    // A restart that the group itself requested is not a failure.
    if (!hasFailed || reason.startsWith(GROUP_RESTART)) return;
    await this.#onFailure(actor.index, `actor ${actorId} ${reason}`);
  }

  /** Restarts the children that depend on a failed one. Resolves to whether the group continues. */
  async #onFailure(failed: number, reason: string): Promise<boolean> {
    const nowMs = performance.now();
    if (isTooIntense(this.#failuresMs, nowMs, this.#limits)) {
      const { maxRestarts, windowMs } = this.#limits;
      await this.#giveUp(`more than ${maxRestarts} failures in ${windowMs / 1000} s, the last: ${reason}`);
      return false;
    }
    this.#failuresMs.push(nowMs);
    for (const index of alsoRestarted(this.#strategy, failed, this.#children.length)) {
      await this.#children[index]!.restart(`${GROUP_RESTART} (${this.#strategy}): ${reason}`);
    }
    return true;
  }

  async #giveUp(reason: string): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopListening();
    for (const child of [...this.#children].reverse()) await child.stop().catch(() => undefined);
    this.#fail(new GroupFailed(reason));
  }
}

/** @throws UserError for invalid options. */
function checkOptions({ strategy, maxRestarts, windowMs }: Required<GroupOptions>): void {
  if (!isSupervisionStrategy(strategy))
    throw new UserError(`Group, strategy = ${shown(strategy)}: choose ${SUPERVISION_STRATEGIES.join(', ')}.`);
  checkWhole('Group, maxRestarts', maxRestarts, 0);
  checkMilliseconds('Group, windowMs', windowMs);
}
