/** Nodes, actors and objects as the page shows them. */

export interface ClusterView {
  readonly nodes: readonly ClusterRow[];
  readonly actors: readonly ClusterRow[];
  readonly objects: readonly ClusterRow[];
}

export interface ClusterRow {
  readonly name: string;
  readonly state: string;
  /** Why it waits, or died; empty if there is nothing to report. */
  readonly reason: string;
  /** Further facts in their order. */
  readonly facts: Readonly<Record<string, string>>;
}
