/** The parts of a cluster as tables: nodes, actors, objects, and a summary of all of them. */
import type { ActorStatus, NodeStatus, Resources } from '../../actors/status/status.ts';
import {
  type Column,
  counted,
  formatAge,
  formatBytes,
  formatFree,
  formatLabels,
  formatResources,
  renderTable,
} from '../base/table.ts';

/** An object as one of its holders knows it. */
export interface ObjectRow {
  readonly id: string;
  readonly nodeId: string;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly kind: 'primary' | 'secondary' | 'spilled';
  readonly owner: string;
  /** Reads in progress. */
  readonly pins: number;
  /** host:port of the nodes that hold it. */
  readonly holders: readonly string[];
}

export interface ClusterView {
  readonly nodes: readonly NodeStatus[];
  readonly actors: readonly ActorStatus[];
  readonly objects: readonly ObjectRow[];
}

const NODE_COLUMNS: readonly Column<NodeStatus>[] = [
  { title: 'NODE', text: ({ nodeId }) => nodeId },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'ADDRESS', text: ({ address }) => address },
  { title: 'ACTORS', text: ({ actors }) => String(actors), alignsRight: true },
  { title: 'FREE', text: ({ free, total }) => formatFree(free, total) },
  { title: 'LABELS', text: ({ labels }) => formatLabels(labels) },
];

export function nodeTable(nodes: readonly NodeStatus[]): string {
  return renderTable(NODE_COLUMNS, nodes, ({ state, reason }) => (state === 'alive' ? '' : reason));
}

export function actorTable(actors: readonly ActorStatus[], nowMs: number): string {
  const columns: readonly Column<ActorStatus>[] = [
    { title: 'ACTOR', text: ({ actorId }) => actorId },
    { title: 'STATE', text: ({ state }) => state },
    { title: 'NODE', text: ({ nodeId }) => nodeId ?? '' },
    { title: 'INC', text: ({ incarnation }) => String(incarnation), alignsRight: true },
    { title: 'IN', text: placeOf },
    { title: 'RESOURCES', text: ({ resources }) => formatResources(resources) },
    { title: 'GPUS', text: ({ gpuIds }) => gpuIds.join(',') },
    { title: 'OWNER', text: ownerOf },
    { title: 'AGE', text: ({ createdAt }) => formatAge(createdAt, nowMs), alignsRight: true },
  ];
  return renderTable(columns, actors, reasonOf);
}

export function objectTable(objects: readonly ObjectRow[]): string {
  const columns: readonly Column<ObjectRow>[] = [
    { title: 'OBJECT', text: ({ id }) => id },
    { title: 'ON', text: ({ nodeId }) => nodeId },
    { title: 'BYTES', text: ({ sizeBytes }) => String(sizeBytes), alignsRight: true },
    { title: 'KIND', text: ({ kind }) => kind },
    { title: 'OWNER', text: ({ owner }) => owner },
    { title: 'PINS', text: ({ pins }) => String(pins), alignsRight: true },
    { title: 'HOLDERS', text: ({ holders }) => holders.join(',') },
  ];
  return renderTable(columns, objects);
}

/** How a cluster is, in a few lines; whatever is not as it should be has its reason. */
export function statusText({ nodes, actors, objects }: ClusterView, nowMs: number): string {
  const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const free = formatFree(sumOf(nodes.map((node) => node.free)), sumOf(nodes.map((node) => node.total)));
  const unwell = actors.filter(({ state }) => state !== 'alive');
  const lines = [
    `${counted(nodes.length, 'node')}; free: ${free}`,
    countedByState(
      actors.filter(({ group }) => group === null),
      'actor',
    ),
    ...groupLines(actors.filter(({ group, state }) => group !== null && state !== 'dead')),
    `${counted(objects.length, 'object')}${objects.length === 0 ? '' : `, ${formatBytes(bytes)}`}`,
    '',
    nodeTable(nodes),
  ];
  const rest = unwell.length === 0 ? '' : `\nNot serving:\n\n${actorTable(unwell, nowMs)}`;
  return lines.join('\n') + rest;
}

function countedByState(actors: readonly ActorStatus[], noun: string): string {
  const counts = (['alive', 'pending', 'restarting', 'dead'] as const)
    .map((state) => ({ state, count: actors.filter((actor) => actor.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`);
  return `${counted(actors.length, noun)}${counts.length === 0 ? '' : `: ${counts.join(', ')}`}`;
}

function groupLines(bundles: readonly ActorStatus[]): string[] {
  if (bundles.length === 0) return [];
  const groups = new Set(bundles.map(({ group }) => group));
  return [`${counted(groups.size, 'placement group')} of ${countedByState(bundles, 'bundle')}`];
}

/** `process`, `thread in group-0`; `bundle` for what runs nowhere. */
function placeOf({ isolation, bundle }: ActorStatus): string {
  if (isolation === 'none') return 'bundle';
  return bundle === null ? isolation : `${isolation} in ${bundle}`;
}

/** Why an actor does not serve; empty for one that does. */
function reasonOf({ state, reason, lastLogLines }: ActorStatus): string {
  if (state === 'alive') return '';
  const last = lastLogLines.at(-1);
  return state === 'dead' && last !== undefined && reason !== 'stopped'
    ? `${reason}; last log line: ${last}`
    : reason;
}

function ownerOf({ owner, lifetime }: ActorStatus): string {
  return lifetime === 'detached' ? 'detached' : (owner ?? '');
}

function sumOf(all: readonly Resources[]): Resources {
  const sum: Record<string, number> = {};
  for (const resources of all) {
    for (const [name, amount] of Object.entries(resources)) sum[name] = (sum[name] ?? 0) + amount;
  }
  return sum;
}
