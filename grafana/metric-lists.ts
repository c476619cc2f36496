/** Exceptions that tests allow, each with its reason. An entry that is no longer needed fails a test. */

/** Labels that Prometheus gives every series of a target. */
export const SCRAPE_LABELS: readonly string[] = ['job', 'instance', 'cluster', 'namespace', 'installation'];

/** Labels that Prometheus or the node's page adds to every series. */
export const TARGET_LABELS: readonly string[] = [...SCRAPE_LABELS, 'actor', 'type', 'process'];

/** Every label of a metric of ours, and why it takes few values. */
export const BOUNDED_LABELS: Readonly<Record<string, string>> = {
  actor: 'living actors of the node; series go with them',
  bus: 'embedded or nats',
  cause: 'cause of the end of a process or node: a signal, an exit code',
  class: 'classes of the data set',
  code: 'the seventeen statuses of gRPC',
  direction: 'sent or received',
  filter: 'open subscriptions, by the subject of their events',
  folder: 'uses of the folders that the node watches',
  kind: 'kinds of objects, or of registry operations',
  method: 'methods of the protos; one value for all unknown methods',
  node_version: 'one for each node',
  operation: 'put or get',
  phase: 'synthesis, train, evaluate',
  process: 'node',
  resource: 'resources that the node offers',
  run: 'runs in progress, and those that ended in the last ten minutes',
  source: 'place where an object or a graph was found',
  state: 'states of an actor, node, run, shard or worker; phases of an object',
  step: 'hold, create, cancel, resume, release',
  token: 'names in the file of tokens',
  type: 'types of actors',
  version: 'one for each node',
};

/** Metrics that have no series until something goes wrong or is rare, with what that is. */
export const QUIET: Readonly<Record<string, string>> = {
  ballast_object_transfer_failures_total: 'a transfer between nodes that breaks off',
  ballast_api_rate_limited_total: 'a token that calls too often',
};
