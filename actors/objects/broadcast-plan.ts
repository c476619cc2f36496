/**
 * Decides which node sends an object to which, so that N receivers need O(log N) hops and no node uploads to more than
 * a few at a time. Plain values only. The origin keeps one `Broadcast` per object and asks `assign` for every node that
 * wants it.
 *
 * A node that is still receiving relays what it has, so receivers form a tree through which all chunks flow at once:
 * with two uploads per node, d hops reach 2 + 4 + … + 2^d nodes, and the whole takes about two transfers, whatever N.
 */

/** Maximum concurrent uploads of one object by a node. */
export const UPLOADS_PER_NODE = 2;

interface Assignment {
  readonly source: string;
  /** When the upload counts as over if the receiver never reports its end. */
  readonly untilMs: number;
}

export interface Broadcast {
  readonly origin: string;
  /** Nodes that hold the whole object, except the origin. */
  readonly holders: Set<string>;
  /** Nodes that are receiving it, by address. */
  readonly receiving: Map<string, Assignment>;
}

export function newBroadcast(origin: string): Broadcast {
  return { origin, holders: new Set(), receiving: new Map() };
}

export interface Asker {
  readonly receiver: string;
  /** Nodes that failed to send it. */
  readonly failed: readonly string[];
  readonly nowMs: number;
  /** How long the transfer may take before its upload slot is reassigned. */
  readonly leaseMs: number;
}

/**
 * Chooses and records the receiver's source: the least loaded whole copy with a free upload slot; otherwise a receiver
 * with a free slot, fewest hops from a whole copy first; otherwise the least loaded whole copy. It never chooses a node
 * that failed, nor one that itself receives from the asker. Null when no candidate is left.
 */
export function assign(broadcast: Broadcast, asker: Asker, uploadsPerNode = UPLOADS_PER_NODE): string | null {
  const { holders, receiving, origin } = broadcast;
  const { receiver, failed, nowMs } = asker;
  for (const [node, { untilMs }] of receiving) if (untilMs <= nowMs) receiving.delete(node);
  receiving.delete(receiver);
  holders.delete(receiver); // it would not ask if it still held the object
  for (const node of failed) holders.delete(node);

  const load = loads(receiving);
  const whole = [origin, ...holders].filter((node) => !failed.includes(node) && node !== receiver);
  const relays = [...receiving.keys()].filter(
    (node) => !failed.includes(node) && !receivesFrom(broadcast, node, receiver),
  );
  const loadOf = (node: string) => load.get(node) ?? 0;
  const isFree = (node: string) => loadOf(node) < uploadsPerNode;
  const source =
    least(whole.filter(isFree), loadOf) ??
    least(relays.filter(isFree), (node) => hops(broadcast, node) * (uploadsPerNode + 1) + loadOf(node)) ??
    least(whole, loadOf) ??
    least(relays, loadOf);
  if (source !== null) receiving.set(receiver, { source, untilMs: nowMs + asker.leaseMs });
  return source;
}

/** Records that a receiver has finished, with the whole object or without it. */
export function finish(broadcast: Broadcast, receiver: string, isHolder: boolean): void {
  broadcast.receiving.delete(receiver);
  if (isHolder && receiver !== broadcast.origin) broadcast.holders.add(receiver);
  else broadcast.holders.delete(receiver);
}

/** Hops between a node and the nearest whole copy upstream; 0 for a whole copy. */
export function hops({ receiving }: Broadcast, node: string): number {
  let count = 0;
  for (let at = receiving.get(node); at !== undefined; at = receiving.get(at.source)) count++;
  return count;
}

function loads(receiving: Broadcast['receiving']): Map<string, number> {
  const load = new Map<string, number>();
  for (const { source } of receiving.values()) load.set(source, (load.get(source) ?? 0) + 1);
  return load;
}

/** Whether the transfer to `node` passes through `other`. */
function receivesFrom({ receiving }: Broadcast, node: string, other: string): boolean {
  for (let at: string | undefined = node; at !== undefined; at = receiving.get(at)?.source) {
    if (at === other) return true;
  }
  return false;
}

/** The first candidate with the smallest cost. */
function least(nodes: readonly string[], cost: (node: string) => number): string | null {
  let best: string | null = null;
  for (const node of nodes) if (best === null || cost(node) < cost(best)) best = node;
  return best;
}
