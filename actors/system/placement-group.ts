/**
 * Placement groups, as Ray has them: room on the nodes of a cluster, held in bundles for actors that are spawned later. A
 * group is a gang whose members, the bundles, hold room and run nothing (cluster/gang.ts).
 */

import { UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { shown } from '../base/checks.ts';
import { DEFAULT_MAILBOX } from '../base/mailbox.ts';
import type { CallOptions } from '../proto/protos.ts';
import { DEFAULT_RESTART_POLICY } from '../status/status.ts';
import type { ActorSpec, GroupStrategy, Labels, Lifetime, Resources } from '../status/status.ts';
import type { ActorSystem } from './system.ts';

const BUNDLE_TYPE = 'bundle';
/** A bundle whose node is lost finds another, however often. */
const ALWAYS = { ...DEFAULT_RESTART_POLICY, maxRestarts: 2 ** 31 - 1 };

export interface PlacementGroupOptions {
  /** Unique in the cluster: letters, digits, `-`, `_`; made up by default. Its bundles are `<id>-0`, `<id>-1`, … */
  readonly id?: string;
  /**
   * `pack` (the default) puts the bundles on one node if one has room for all, else on few; `spread` on different nodes if
   * there are enough, else on any; `strict-pack` and `strict-spread` wait where those make do.
   */
  readonly strategy?: GroupStrategy;
  /** Labels that the nodes of all bundles must have. */
  readonly labels?: Labels;
  /** `owner` (the default) ends it with the actor that made it; `detached` lets it stay until it is removed. */
  readonly lifetime?: Lifetime;
}

export class PlacementGroup {
  readonly id: string;
  /** Ids of the bundles in their order, for the option `bundle` of `spawn`. */
  readonly bundles: readonly string[];
  readonly #system: ActorSystem;

  constructor(system: ActorSystem, specs: readonly ActorSpec[]) {
    this.id = specs[0]!.group!;
    this.bundles = specs.map(({ actorId }) => actorId);
    this.#system = system;
  }

  /**
   * Resolves when all its room is held; half a minute is waited unless `deadlineMs` says otherwise. @throws ActorError
   * DEADLINE_EXCEEDED that says what is lacking, UNAVAILABLE when the group was removed.
   */
  async ready(options: CallOptions = {}): Promise<void> {
    await Promise.all(this.bundles.map((bundle) => this.#system.ready(bundle, options)));
  }

  /** Gives its room back, and ends the actors that are in it: SIGTERM, SIGKILL after `graceMs`. */
  async remove(graceMs?: number): Promise<void> {
    const removing = this.bundles.map((bundle) => this.#system.stop(bundle, graceMs));
    const failed = (await Promise.allSettled(removing)).find(isFailure);
    if (failed !== undefined) throw failed.reason;
  }
}

function isFailure(result: PromiseSettledResult<void>): result is PromiseRejectedResult {
  if (result.status === 'fulfilled') return false;
  const { reason } = result as { reason: unknown };
  return !(reason instanceof CallError && reason.code === 'NOT_FOUND'); // its node is gone with it
}

/** @throws UserError for bundles that cannot be. */
export function bundleSpecs(
  bundles: readonly Resources[],
  options: PlacementGroupOptions,
  owner: string | null,
): ActorSpec[] {
  const { id: group = `group-${crypto.randomUUID().slice(0, 8)}`, labels = {} } = options;
  const { strategy: placement = 'pack', lifetime = 'owner' } = options;
  if (!Array.isArray(bundles) || bundles.length === 0)
    throw new UserError(`Placement group ${group}: ${shown(bundles)} are no bundles; name one or more.`);
  return bundles.map((resources: Resources, i) => ({
    ...{ actorId: `${group}-${i}`, group, resources, labels, placement, lifetime, owner },
    ...{ type: BUNDLE_TYPE, isolation: 'none', entry: '', serviceName: '', args: null, env: {} },
    ...{ name: null, namespace: 'default', bundle: null, near: null, handsOver: false },
    ...{ restart: ALWAYS, mailbox: DEFAULT_MAILBOX },
  }));
}
