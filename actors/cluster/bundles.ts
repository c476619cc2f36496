/**
 * Placement groups in the choice of a node: constraints on the places of their bundles, and on actors inside a bundle.
 */

import { type GroupRule, lackingLabels, place, placeGang, type Placement } from './placement.ts';
import { minus, shortfalls } from '../status/resources.ts';
import type { ActorSpec, ActorStatus, NodeStatus } from '../status/status.ts';

/** Chooses a node for one actor, or for one bundle; `actors` are all known ones. */
export function chooseNode(
  spec: ActorSpec,
  nodes: readonly NodeStatus[],
  actors: readonly ActorStatus[],
): Placement {
  if (spec.bundle !== null) return placeInBundle(spec.bundle, spec, nodes, actors);
  if (spec.group === null) return place(spec, nodes);
  const chosen = placeGang([spec], nodes, ruleOf([spec], actors));
  return Array.isArray(chosen) ? { kind: 'node', nodeId: chosen[0]! } : chosen;
}

/** Constraints on a bundle from the members of its group that have a place already; null for actors. */
export function ruleOf(specs: readonly ActorSpec[], actors: readonly ActorStatus[]): GroupRule | null {
  const { group, placement: strategy } = specs[0]!;
  if (group === null) return null;
  const ids = new Set(specs.map(({ actorId }) => actorId));
  const others = actors.filter((other) => other.group === group && !ids.has(other.actorId));
  const held = others.filter(({ state }) => state !== 'dead').map(({ nodeId }) => nodeId);
  return { strategy, held: held.filter((nodeId) => nodeId !== null) };
}

/** The node of the bundle that an actor asks for, if there is room in it. */
function placeInBundle(
  id: string,
  { resources, labels }: ActorSpec,
  nodes: readonly NodeStatus[],
  actors: readonly ActorStatus[],
): Placement {
  const bundle = actors.find(({ actorId }) => actorId === id);
  if (bundle === undefined) return { kind: 'wait', because: `no node has bundle ${id}` };
  if (bundle.group === null) return { kind: 'infeasible', because: `${id} is an actor, not a bundle` };
  if (bundle.state === 'dead') return { kind: 'infeasible', because: `bundle ${id} was removed` };
  const node = nodes.find(({ nodeId, state }) => nodeId === bundle.nodeId && state === 'alive');
  const never = [
    ...(node === undefined ? [] : lackingLabels(labels, node.labels)).map((label) => `label ${label}`),
    ...shortfalls(resources, bundle.resources),
  ];
  if (never.length > 0) return { kind: 'infeasible', because: `bundle ${id} lacks ${never.join(', ')}` };
  if (bundle.state === 'alive' && node === undefined)
    return { kind: 'wait', because: `node ${bundle.nodeId} of bundle ${id} takes no more now` };
  if (node === undefined || bundle.state !== 'alive')
    return { kind: 'wait', because: `bundle ${id} is ${bundle.state} (${bundle.reason})` };
  const inside = actors.filter(
    (actor) => actor.bundle === id && actor.state !== 'dead' && actor.nodeId !== null,
  );
  const free = inside.reduce((left, actor) => minus(left, actor.resources), bundle.resources);
  const now = shortfalls(resources, free, bundle.resources);
  if (now.length > 0) return { kind: 'wait', because: `bundle ${id}: ${now.join(', ')}` };
  return { kind: 'node', nodeId: node.nodeId };
}
