/** Which node takes an actor: a pure choice among what is known of the nodes. */

import { minus, shortfalls } from './resources.ts';
import type { Labels, NodeStatus, PlacementStrategy, Resources } from './status.ts';

export interface PlacementAsk {
  readonly resources: Resources;
  /** Labels that the node must have. */
  readonly labels: Labels;
  readonly placement: PlacementStrategy;
  /** host:port of the node that is preferred when it has room; null for none. */
  readonly near: string | null;
}

export type Placement =
  | { readonly kind: 'node'; readonly nodeId: string }
  /** Some node could take it later. */
  | { readonly kind: 'wait'; readonly because: string }
  /** No node that is here could ever take it. */
  | { readonly kind: 'infeasible'; readonly because: string };

/** Chooses a node for one actor. Ties go to the lesser id, so that everybody chooses alike. */
export function place(ask: PlacementAsk, nodes: readonly NodeStatus[]): Placement {
  const taking = nodes.filter(({ state }) => state === 'alive');
  const lacks = taking.map((node) => ({ node, never: neverReason(ask, node), now: nowReason(ask, node) }));
  const able = lacks.filter(({ never }) => never === null);
  if (able.length === 0) {
    const because = lacks.map(({ node, never }) => `node ${node.nodeId} lacks ${never}`).join('; ');
    return { kind: 'infeasible', because: because === '' ? 'no node takes actors' : because };
  }
  const ready = able.filter(({ now }) => now === null).map(({ node }) => node);
  if (ready.length === 0) {
    const because = able.map(({ node, now }) => `node ${node.nodeId}: ${now}`).join('; ');
    return { kind: 'wait', because };
  }
  const near = ready.find(({ address }) => address === ask.near);
  return { kind: 'node', nodeId: (near ?? best(ask, ready)).nodeId };
}

/** Nodes for all of `asks` or for none of them: each choice counts what the ones before it take. */
export function placeGang(asks: readonly PlacementAsk[], nodes: readonly NodeStatus[]): Placement | string[] {
  let left = nodes;
  const chosen: string[] = [];
  for (const ask of asks) {
    const placement = place(ask, left);
    if (placement.kind !== 'node') return placement;
    chosen.push(placement.nodeId);
    left = left.map((node) =>
      node.nodeId === placement.nodeId ? { ...node, free: minus(node.free, ask.resources) } : node,
    );
  }
  return chosen;
}

function neverReason({ resources, labels }: PlacementAsk, { total, labels: has }: NodeStatus): string | null {
  const wrong = Object.entries(labels).filter(([key, value]) => has[key] !== value);
  const missing = wrong.map(([key, value]) => `label ${key}=${value}`);
  const lacks = [...missing, ...shortfalls(resources, total)];
  return lacks.length === 0 ? null : lacks.join(', ');
}

function nowReason({ resources }: PlacementAsk, { free, total }: NodeStatus): string | null {
  const lacks = shortfalls(resources, free, total);
  return lacks.length === 0 ? null : lacks.join(', ');
}

function best({ placement }: PlacementAsk, nodes: readonly NodeStatus[]): NodeStatus {
  const direction = placement === 'pack' ? -1 : 1;
  const [first] = [...nodes].sort(
    (a, b) =>
      direction * (fullness(a) - fullness(b)) ||
      direction * (a.actors - b.actors) ||
      (a.nodeId < b.nodeId ? -1 : 1),
  );
  return first!;
}

/** The largest share in use of any resource, 0 to 1. */
function fullness({ total, free }: NodeStatus): number {
  const shares = Object.entries(total).map(([name, amount]) =>
    amount > 0 ? 1 - (free[name] ?? 0) / amount : 0,
  );
  return Math.max(0, ...shares);
}
