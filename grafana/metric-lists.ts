/** What tests allow, each with its reason. An entry that is not needed any more fails a test. */

/**
 * Metrics of `ballast coordinator` by its contract, with their labels, which the code does not export yet. Dashboards and
 * alerts have them already. Remove each with the change that adds it.
 */
export const COMING: Readonly<Record<string, readonly string[]>> = {
  ballast_runs: ['state'],
  ballast_synthesis_backlog_seconds: ['run'],
  ballast_synthesis_workers: ['state'],
  ballast_synthesis_image_seconds: [],
  ballast_class_fidelity: ['run', 'class'],
  ballast_class_validation_recall: ['run', 'class'],
  ballast_epochs: ['run'],
  ballast_epoch_phase_seconds: ['run', 'phase'],
  ballast_api_requests_total: ['method', 'code'],
  ballast_api_request_seconds: ['method'],
  ballast_api_rate_limited_total: ['token'],
};

/** Metrics of a run that do not have the label `run` yet. */
export const COMING_WITH_RUN: readonly string[] = [
  'ballast_class_accuracy',
  'ballast_class_quota',
  'ballast_shards',
  'ballast_queue_depth',
  'ballast_images_total',
  'ballast_shards_redone_total',
  'ballast_epoch',
  'ballast_weights_version',
  'ballast_weights_staleness',
  'ballast_validation_balanced_accuracy',
  'ballast_synthesis_seconds',
];

/** Labels that Prometheus or the node's page adds to every series. */
export const TARGET_LABELS: readonly string[] = ['job', 'instance', 'actor', 'type', 'process'];

/** Every label of a metric of ours, and why it takes few values. */
export const BOUNDED_LABELS: Readonly<Record<string, string>> = {
  actor: 'living actors of the node; series go with them',
  bus: 'embedded or nats',
  cause: 'ways in which a process or node ends: a signal, an exit code',
  class: 'classes of the data set',
  code: 'the seventeen statuses of gRPC',
  direction: 'sent or received',
  filter: 'subscriptions that are open, by what they ask for',
  folder: 'uses of a folder that the node was told of',
  kind: 'kinds of objects, or of registry operations',
  method: 'methods of the protos; one value for all that do not exist',
  node_version: 'one for each node',
  operation: 'put or get',
  phase: 'synthesis, train, evaluate',
  process: 'node',
  resource: 'resources that the node offers',
  run: 'runs that go on, and those that ended in the last ten minutes',
  source: 'where an object, or a graph, was found',
  state: 'states of an actor, node, run, shard or worker',
  token: 'names in the file of tokens',
  type: 'types of actors',
  version: 'one for each node',
};

/** Metrics that have no series until something goes wrong or is rare, with what that is. */
export const QUIET: Readonly<Record<string, string>> = {
  ballast_object_transfer_failures_total: 'a transfer between nodes that breaks off',
};
