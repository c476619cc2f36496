/** Chooses the node for an actor: a pure function of the known nodes. */

import { amountOf, minus, shortfalls } from '../status/resources.ts';
import type { GroupStrategy, Labels, NodeStatus, Resources } from '../status/status.ts';

export interface PlacementAsk {
  readonly resources: Resources;
  /** Labels that the node must have. */
  readonly labels: Labels;
  readonly placement: GroupStrategy;
  /** host:port of the node that is preferred when it has room; null for none. */
  readonly near: string | null;
}

export type Placement =
  | { readonly kind: 'node'; readonly nodeId: string }
  /** Some node could take it later. */
  | { readonly kind: 'wait'; readonly because: string }
  /** None of the present nodes could ever take it. */
  | { readonly kind: 'infeasible'; readonly because: string };

/** Chooses a node for one actor. Ties go to the smaller id, so that every node makes the same choice. */
export function place(ask: PlacementAsk, nodes: readonly NodeStatus[]): Placement {
  const taking = nodes.filter(({ state }) => state === 'alive');
  const lacks = taking.map((node) => ({ node, never: neverReason(ask, node), now: nowReason(ask, node) }));
  const able = lacks.filter(({ never }) => never === null);
  if (able.length === 0) {
    const because = lacks.map(({ node, never }) => `node ${node.nodeId} lacks ${never}`).join('; ');
    return { kind: 'infeasible', because: because === '' ? 'no node accepts actors' : because };
  }
  const ready = able.filter(({ now }) => now === null).map(({ node }) => node);
  if (ready.length === 0) {
    const because = able.map(({ node, now }) => `node ${node.nodeId}: ${now}`).join('; ');
    return { kind: 'wait', because };
  }
  const near = ready.find(({ address }) => address === ask.near);
  return { kind: 'node', nodeId: (near ?? best(ask, ready)).nodeId };
}

/** How the members of a gang lie to each other, and to those of their group that have a place already. */
export interface GroupRule {
  readonly strategy: GroupStrategy;
  /** Nodes that others of the group are on. */
  readonly held: readonly string[];
}

/** On one node, on a node each, or anywhere. */
type Layout = 'at once' | 'on one node' | 'on different nodes';

/** The layouts that are tried, one after the other. */
const LAYOUTS: Readonly<Record<GroupStrategy, readonly Layout[]>> = {
  pack: ['on one node', 'at once'],
  spread: ['on different nodes', 'at once'],
  'strict-pack': ['on one node'],
  'strict-spread': ['on different nodes'],
};

/**
 * Maximum steps of the search for a gang's nodes. With more members than usually fit it is cut short, and the gang
 * waits.
 */
const MAX_STEPS = 500;

/**
 * Nodes for all of `asks`, one each in their order, or for none of them; `rule` binds the bundles of a group. Infeasible
 * if they would not fit even on idle nodes.
 */
export function placeGang(
  asks: readonly PlacementAsk[],
  nodes: readonly NodeStatus[],
  rule: GroupRule | null = null,
): Placement | string[] {
  for (const ask of asks) {
    const placement = place(ask, nodes);
    if (placement.kind === 'infeasible') return placement;
  }
  const taking = nodes.filter(({ state }) => state === 'alive');
  const layouts = rule === null ? (['at once'] as const) : LAYOUTS[rule.strategy];
  const held = rule?.held ?? [];
  for (const layout of layouts) {
    const chosen = fitAll(asks, taking, layout, held);
    if (Array.isArray(chosen)) return chosen;
  }
  const layout = layouts.at(-1)!;
  const empty = taking.map((node) => ({ ...node, free: node.total }));
  const canWait = fitAll(asks, empty, layout, held) !== 'none';
  const [kind, which] = canWait ? (['wait', 'free'] as const) : (['infeasible', 'total'] as const);
  return { kind, because: `${asks.length} ${layout}: ${sumReason(asks, taking, which)}` };
}

/** Nodes that are open to a member, when the group's others are on `held`. */
function openNodes(
  nodes: readonly NodeStatus[],
  layout: Layout,
  held: readonly string[],
): readonly NodeStatus[] {
  if (layout === 'at once' || held.length === 0) return nodes;
  return nodes.filter(({ nodeId }) => held.includes(nodeId) === (layout === 'on one node'));
}

/**
 * Backtracks: each choice counts what the earlier ones take. The hardest to place, with the fewest nodes, goes first.
 */
function fitAll(
  asks: readonly PlacementAsk[],
  nodes: readonly NodeStatus[],
  layout: Layout,
  held: readonly string[],
): string[] | 'none' | 'unknown' {
  if (layout === 'on different nodes' && asks.length > openNodes(nodes, layout, held).length) return 'none';
  const able = (ask: PlacementAsk) =>
    nodes.filter((node) => nowReason(ask, node) === null && fitsEver(ask, node)).length;
  const order = asks.map((ask, index) => ({ ask, index, able: able(ask) })).sort((a, b) => a.able - b.able);
  const chosen = new Array<string>(asks.length);
  let steps = 0;
  const fit = (at: number, left: readonly NodeStatus[]): boolean => {
    const next = order[at];
    if (next === undefined) return true;
    const before = order.slice(0, at).map(({ index }) => chosen[index]!);
    for (let open = openNodes(left, layout, [...held, ...before]); steps++ < MAX_STEPS;) {
      const placement = place(next.ask, open);
      if (placement.kind !== 'node') return false;
      const { nodeId } = placement;
      chosen[next.index] = nodeId;
      const taken = left.map((node) => (node.nodeId === nodeId ? withTaken(node, next.ask) : node));
      if (fit(at + 1, taken)) return true;
      const failed = alikeKey(left.find((node) => node.nodeId === nodeId)!);
      open = open.filter((node) => alikeKey(node) !== failed);
    }
    return false;
  };
  if (fit(0, nodes)) return chosen;
  return steps < MAX_STEPS ? 'none' : 'unknown';
}

function fitsEver(ask: PlacementAsk, node: NodeStatus): boolean {
  return neverReason(ask, node) === null;
}

/** Nodes with the same key currently take the same actors. */
function alikeKey({ free, labels }: NodeStatus): string {
  return JSON.stringify([free, labels]);
}

function withTaken(node: NodeStatus, { resources }: PlacementAsk): NodeStatus {
  return { ...node, free: minus(node.free, resources), actors: node.actors + 1 };
}

/** The amounts of each node that could take some of `asks`, next to the sum that they ask for. */
function sumReason(
  asks: readonly PlacementAsk[],
  nodes: readonly NodeStatus[],
  which: 'free' | 'total',
): string {
  const names = [...new Set(asks.flatMap(({ resources }) => Object.keys(resources)))];
  const sum = (name: string) => asks.reduce((total, { resources }) => total + amountOf(resources, name), 0);
  const asked = names.map((name) => `${name} ${sum(name)}`).join(', ');
  const word = which === 'free' ? 'free' : 'in all';
  const has = nodes
    .filter((node) => asks.some((ask) => fitsEver(ask, node)))
    .map(
      (node) =>
        `node ${node.nodeId} has ${names.map((name) => `${name} ${amountOf(node[which], name)}`).join(', ')} ${word}`,
    );
  return `they ask for ${asked}; ${has.join('; ')}`;
}

/** The requested labels that a node lacks, as `zone=a`. */
export function lackingLabels(asked: Labels, has: Labels): string[] {
  const lacking = Object.entries(asked).filter(
    ([key, value]) => !Object.hasOwn(has, key) || has[key] !== value,
  );
  return lacking.map(([key, value]) => `${key}=${value}`);
}

function neverReason({ resources, labels }: PlacementAsk, { total, labels: has }: NodeStatus): string | null {
  const lacks = [
    ...lackingLabels(labels, has).map((label) => `label ${label}`),
    ...shortfalls(resources, total),
  ];
  return lacks.length === 0 ? null : lacks.join(', ');
}

function nowReason({ resources }: PlacementAsk, { free, total }: NodeStatus): string | null {
  const lacks = shortfalls(resources, free, total);
  return lacks.length === 0 ? null : lacks.join(', ');
}

function best({ placement }: PlacementAsk, nodes: readonly NodeStatus[]): NodeStatus {
  const direction = placement === 'pack' || placement === 'strict-pack' ? -1 : 1;
  const [first] = [...nodes].sort(
    (a, b) =>
      direction * (fullness(a) - fullness(b)) ||
      direction * (a.actors - b.actors) ||
      (a.nodeId < b.nodeId ? -1 : 1),
  );
  return first!;
}

/** The largest used share of any resource, 0 to 1. */
function fullness({ total, free }: NodeStatus): number {
  const shares = Object.entries(total).map(([name, amount]) =>
    amount > 0 ? 1 - amountOf(free, name) / amount : 0,
  );
  return Math.max(0, ...shares);
}
