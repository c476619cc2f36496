/** The actor runtime: actors and nodes, calls, the public API, objects, registry and events, processes. */
import { type Dashboard, NODE, type Row } from './panels.ts';

const N = 'instance=~"$node"';
const FAILED = 'code=~"INTERNAL|UNKNOWN|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|DATA_LOSS"';
const WHO = '{{actor}}{{process}} {{instance}}';

const now: Row = {
  title: 'Now (green: healthy)',
  panels: [
    {
      kind: 'stat',
      title: 'Actors pending',
      description: 'Actors without a node that has room. For more than 15 minutes: BallastActorPending.',
      unit: 'none',
      queries: [
        { expr: 'sum(max by (type) (ballast_actors{state="pending"})) or vector(0)', legend: 'pending' },
      ],
      thresholds: [
        { from: null, color: 'green' },
        { from: 1, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Restarts, 15 min',
      description:
        'Actors restarted in the last 15 minutes, whatever their type; which ones: below. A few after a lost node are normal.',
      unit: 'none',
      decimals: 0,
      queries: [
        {
          expr: 'max(sum by (instance) (increase(ballast_actor_restarts_total[15m]))) or vector(0)',
          legend: 'restarts',
        },
      ],
      thresholds: [
        { from: null, color: 'green' },
        { from: 1, color: 'orange' },
        { from: 5, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Nodes lost, 15 min',
      description: 'Nodes that went without leaving (BallastNodeLost).',
      unit: 'none',
      decimals: 0,
      queries: [
        { expr: 'max(increase(ballast_nodes_gone_total{cause="lost"}[15m])) or vector(0)', legend: 'lost' },
      ],
      thresholds: [
        { from: null, color: 'green' },
        { from: 1, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Leases lost, 15 min',
      description: 'Leases that could not be renewed in time (BallastLeasesLost).',
      unit: 'none',
      decimals: 0,
      queries: [{ expr: 'sum(increase(ballast_lease_losses_total[15m])) or vector(0)', legend: 'lost' }],
      thresholds: [
        { from: null, color: 'green' },
        { from: 1, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Failed calls',
      description:
        'Share of calls between processes that fail by no fault of the caller, of the worst method.',
      unit: 'percentunit',
      queries: [{ expr: 'max(method:ballast_calls:failed_ratio5m)', legend: 'failing' }],
      thresholds: [
        { from: null, color: 'green' },
        { from: 0.05, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Event-loop delay',
      description: 'The p99 of the slowest process. Above a second: BallastEventLoopBlocked.',
      unit: 's',
      queries: [{ expr: `max(nodejs_eventloop_lag_p99_seconds{${N}})`, legend: 'delay' }],
      thresholds: [
        { from: null, color: 'green' },
        { from: 0.5, color: 'orange' },
        { from: 1, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Fullest store',
      description:
        'Share of an object store that cannot be dropped, of the fullest node (BallastObjectStoreNearFull).',
      unit: 'percentunit',
      queries: [{ expr: 'max(instance:ballast_object_store_held:ratio)', legend: 'full' }],
      thresholds: [
        { from: null, color: 'green' },
        { from: 0.9, color: 'red' },
      ],
    },
    {
      kind: 'stat',
      title: 'Fullest disk',
      description:
        'Share that is taken of the fullest file system that a node writes to (BallastDiskFilling).',
      unit: 'percentunit',
      queries: [
        { expr: `max(1 - ballast_disk_free_bytes{${N}} / ballast_disk_bytes{${N}})`, legend: 'full' },
      ],
      thresholds: [
        { from: null, color: 'green' },
        { from: 0.9, color: 'red' },
      ],
    },
  ],
};

const actors: Row = {
  title: 'Actors and nodes',
  panels: [
    {
      kind: 'timeseries',
      title: 'Actors by type and state',
      description: 'Of the whole cluster. Pending for long: no node has room (BallastActorPending).',
      unit: 'short',
      min: 0,
      isStacked: true,
      queries: [{ expr: 'max by (type, state) (ballast_actors)', legend: '{{type}} {{state}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Actor restarts, last 15 minutes',
      description: 'By type and how the process ended. The same type repeatedly: BallastActorRestartLoop.',
      unit: 'short',
      min: 0,
      queries: [
        {
          expr: 'topk(6, max by (type, cause) (increase(ballast_actor_restarts_total[15m])))',
          legend: '{{type}}: {{cause}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Nodes by state',
      description: 'As the best informed node sees it. Draining ones finish what they have and leave.',
      unit: 'short',
      min: 0,
      isStacked: true,
      queries: [{ expr: 'max by (state) (ballast_nodes)', legend: '{{state}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Nodes gone, last 15 minutes',
      description:
        'Left is a clean leave, as at scale-in. Lost is a node that fell silent (BallastNodeLost).',
      unit: 'short',
      min: 0,
      queries: [{ expr: 'max by (cause) (increase(ballast_nodes_gone_total[15m]))', legend: '{{cause}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Share of resources in use',
      description: 'By actors, out of each node’s total. All in use and actors pending: add nodes.',
      unit: 'percentunit',
      min: 0,
      max: 1,
      queries: [
        {
          expr: `1 - ballast_node_free{${N},resource!="memoryBytes"} / ballast_node_capacity{${N},resource!="memoryBytes"}`,
          legend: '{{resource}} {{instance}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Versions by node',
      description:
        'Version of Ballast and Node.js of each node. Different versions give different bits (BallastMixedVersions).',
      unit: 'none',
      width: 8,
      height: 8,
      queries: [{ expr: `ballast_build_info{${N}}`, legend: '' }],
      columns: { instance: 'node', version: 'Ballast', node_version: 'Node.js' },
    },
  ],
};

const calls: Row = {
  title: 'Calls between processes',
  panels: [
    {
      kind: 'timeseries',
      title: 'Calls per second, busiest methods',
      description: 'Calls that ended, whatever their status.',
      unit: 'reqps',
      min: 0,
      queries: [
        {
          expr: `topk(8, sum by (method) (rate(ballast_calls_total{${N}}[$__rate_interval])))`,
          legend: '{{method}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Failed calls per second',
      description:
        'By method and status; neither callers’ mistakes nor cancelled calls. Some during restarts are normal.',
      unit: 'reqps',
      min: 0,
      queries: [
        {
          expr: `sum by (method, code) (rate(ballast_calls_total{${N},${FAILED}}[$__rate_interval]))`,
          legend: '{{method}} {{code}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Time of a call, p99, slowest methods',
      description:
        'From arrival to answer, waiting included; streams until they end. Long methods (shards, epochs) are slow by nature.',
      unit: 's',
      min: 0,
      queries: [{ expr: 'topk(8, method:ballast_call_seconds:p99_5m)', legend: '{{method}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Waiting calls',
      description:
        'In the mailboxes of each process. Growing without end: the actor is too slow or stuck (BallastMailboxBacklog).',
      unit: 'short',
      min: 0,
      queries: [{ expr: `ballast_mailbox_depth{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Running calls',
      description: 'By each process at the moment of the scrape.',
      unit: 'short',
      min: 0,
      queries: [{ expr: `ballast_calls_running{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Cancelled calls, per second',
      description: 'Calls whose callers left or cancelled. Cancelling a run causes a burst.',
      unit: 'reqps',
      min: 0,
      queries: [
        {
          expr: `sum by (method) (rate(ballast_calls_total{${N},code="CANCELLED"}[$__rate_interval]))`,
          legend: '{{method}}',
        },
      ],
    },
  ],
};

const api: Row = {
  title: 'Public API',
  panels: [
    {
      kind: 'timeseries',
      title: 'Requests per second',
      description: 'By method and status of the coordinator’s public API.',
      unit: 'reqps',
      min: 0,
      queries: [
        {
          expr: 'sum by (method, code) (rate(ballast_api_requests_total[$__rate_interval]))',
          legend: '{{method}} {{code}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Time of a request, p95',
      description:
        'By method; streams (WatchRun, Synthesize, GetModel, GetImages) until they end. Unary above 2 s: BallastApiSlow.',
      unit: 's',
      min: 0,
      queries: [{ expr: 'method:ballast_api_request_seconds:p95_5m', legend: '{{method}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Refused by rate limit, per second',
      description: 'By token. A client that repeats in a tight loop shows here (BallastApiRateLimited).',
      unit: 'reqps',
      min: 0,
      queries: [
        {
          expr: 'sum by (token) (rate(ballast_api_rate_limited_total[$__rate_interval]))',
          legend: '{{token}}',
        },
      ],
    },
  ],
};

const objects: Row = {
  title: 'Objects',
  panels: [
    {
      kind: 'timeseries',
      title: 'Object store, bytes by kind',
      description:
        'Primary were put here, secondary are copies that may be dropped, spilled lie on disk, reusable are empty files.',
      unit: 'bytes',
      min: 0,
      isStacked: true,
      queries: [{ expr: `sum by (kind) (ballast_object_store_bytes{${N}})`, legend: '{{kind}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Object store, share that cannot be dropped',
      description:
        'Primary and reserved bytes of the capacity. At 100% objects move to disk, which is slower (BallastObjectStoreNearFull).',
      unit: 'percentunit',
      min: 0,
      max: 1,
      queries: [{ expr: `instance:ballast_object_store_held:ratio{${N}}`, legend: '{{instance}}' }],
      thresholds: [
        { from: null, color: 'green' },
        { from: 0.9, color: 'red' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Objects by kind',
      description: 'Number in the stores. Steady growth: objects are put and never freed.',
      unit: 'short',
      min: 0,
      isStacked: true,
      queries: [{ expr: `sum by (kind) (ballast_object_store_objects{${N}})`, legend: '{{kind}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Bytes put and got, per second',
      description:
        'By where a process found what it got: its memory, shared memory, disk (spill) or another node (remote).',
      unit: 'Bps',
      min: 0,
      queries: [
        { expr: `sum(rate(ballast_object_put_bytes_total{${N}}[$__rate_interval]))`, legend: 'put' },
        {
          expr: `sum by (source) (rate(ballast_object_get_bytes_total{${N}}[$__rate_interval]))`,
          legend: 'got from {{source}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Objects put and got, per second',
      description: 'The same as a number of objects.',
      unit: 'ops',
      min: 0,
      queries: [
        { expr: `sum(rate(ballast_object_puts_total{${N}}[$__rate_interval]))`, legend: 'put' },
        {
          expr: `sum by (source) (rate(ballast_object_gets_total{${N}}[$__rate_interval]))`,
          legend: 'got from {{source}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Bytes between nodes, per second',
      description:
        'Sent and received by each node. Weights go to every node once per epoch; images to the trainer’s node.',
      unit: 'Bps',
      min: 0,
      queries: [
        {
          expr: `sum by (instance, direction) (rate(ballast_object_transfer_bytes_total{${N}}[$__rate_interval]))`,
          legend: '{{direction}} {{instance}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Time to receive an object, p95',
      description: 'From other nodes, verified. Empty on a single machine.',
      unit: 's',
      min: 0,
      queries: [
        {
          expr: `histogram_quantile(0.95, sum by (le) (rate(ballast_object_transfer_seconds_bucket{${N}}[5m])))`,
          legend: 'p95',
        },
        {
          expr: `sum(rate(ballast_object_digest_seconds_total{${N}}[5m])) / sum(rate(ballast_object_transfer_seconds_count{${N}}[5m]))`,
          legend: 'of which verifying, mean',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Evictions and spills, last 5 minutes',
      description:
        'Copies dropped and objects moved to disk, to make room. Spills all the time: the store is too small.',
      unit: 'short',
      min: 0,
      queries: [
        { expr: `sum(increase(ballast_object_evictions_total{${N}}[5m]))`, legend: 'copies dropped' },
        { expr: `sum(increase(ballast_object_spills_total{${N}}[5m]))`, legend: 'moved to disk' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Failures of objects, last 5 minutes',
      description: 'Failed puts and gets, and interrupted transfers (which are retried).',
      unit: 'short',
      min: 0,
      queries: [
        {
          expr: `sum by (operation, code) (increase(ballast_object_failures_total{${N}}[5m]))`,
          legend: '{{operation}} {{code}}',
        },
        {
          expr: `sum by (code) (increase(ballast_object_transfer_failures_total{${N}}[5m]))`,
          legend: 'transfer {{code}}',
        },
      ],
    },
  ],
};

const controlPlane: Row = {
  title: 'Registry, leases, events',
  panels: [
    {
      kind: 'timeseries',
      title: 'Registry operations per second',
      description: 'By kind and status. Renewals of leases are the steady part.',
      unit: 'ops',
      min: 0,
      queries: [
        {
          expr: `sum by (kind, code) (rate(ballast_registry_operations_total{${N}}[$__rate_interval]))`,
          legend: '{{kind}} {{code}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Time of a registry operation, p99',
      description: 'By kind. Near the lease time, leases are lost (BallastRegistrySlow).',
      unit: 's',
      min: 0,
      queries: [{ expr: 'kind:ballast_registry_operation_seconds:p99_5m', legend: '{{kind}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Leases',
      description:
        'Held now, and lost without a release in the last 15 minutes. Any loss: BallastLeasesLost.',
      unit: 'short',
      min: 0,
      queries: [
        { expr: `sum(ballast_leases_held{${N}})`, legend: 'held' },
        { expr: `sum(increase(ballast_lease_losses_total{${N}}[15m]))`, legend: 'lost, 15 min' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Events pending at subscribers',
      description:
        'The largest of each bus and filter. Growing: a subscriber is slow or stuck (BallastEventLag).',
      unit: 'short',
      min: 0,
      queries: [{ expr: `max by (bus, filter) (ballast_event_lag{${N}})`, legend: '{{bus}} {{filter}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Unpublished events, last 5 minutes',
      description: 'By status. The run goes on and its folder has every event; watchers miss them.',
      unit: 'short',
      min: 0,
      queries: [
        {
          expr: `sum by (code) (increase(ballast_event_publish_failures_total{${N}}[5m]))`,
          legend: '{{code}}',
        },
      ],
    },
  ],
};

const synthesisRuns: Row = {
  title: 'SynthesisRun objects of Kubernetes',
  panels: [
    {
      kind: 'timeseries',
      title: 'Objects by phase',
      description:
        'As the controller sees them. Pending for minutes: `kubectl describe` of the object says why.',
      unit: 'none',
      min: 0,
      isStacked: true,
      queries: [{ expr: 'sum by (state) (ballast_controller_objects)', legend: '{{state}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Steps of the controller, last 15 minutes',
      description:
        'What it did for objects, and looks that failed and are repeated. More than five failures: BallastControllerFailing.',
      unit: 'none',
      min: 0,
      queries: [
        { expr: 'sum by (step) (increase(ballast_controller_steps_total[15m]))', legend: '{{step}}' },
        { expr: 'sum(increase(ballast_controller_failures_total[15m]))', legend: 'failures' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Time to reconcile an object, p95',
      description: 'Including the step taken: cancelling waits for the end of a sampler’s step.',
      unit: 's',
      min: 0,
      queries: [
        {
          expr: 'histogram_quantile(0.95, sum by (le) (rate(ballast_controller_look_seconds_bucket[$__rate_interval])))',
          legend: 'p95',
        },
      ],
    },
  ],
};

const processes: Row = {
  title: 'Processes',
  panels: [
    {
      kind: 'timeseries',
      title: 'Event-loop delay, p99',
      description:
        'Since the scrape before. Over a second, heartbeats and answers are late: BallastEventLoopBlocked.',
      unit: 's',
      min: 0,
      queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Processor cores used',
      description: 'By each process, including the engine’s threads.',
      unit: 'none',
      decimals: 2,
      min: 0,
      queries: [{ expr: `rate(process_cpu_seconds_total{${N}}[$__rate_interval])`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Resident memory',
      description: 'By each process. A steady rise over hours: a leak.',
      unit: 'bytes',
      min: 0,
      queries: [{ expr: `process_resident_memory_bytes{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'JavaScript heap in use',
      description: 'By each process. Resident memory minus this is the engine’s, and buffers.',
      unit: 'bytes',
      min: 0,
      queries: [{ expr: `nodejs_heap_size_used_bytes{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Time in garbage collection',
      description: 'Share of each process’s time. Above a tenth: its heap is too small.',
      unit: 'percentunit',
      min: 0,
      queries: [
        {
          expr: `sum by (instance, actor, process) (rate(nodejs_gc_duration_seconds_sum{${N}}[$__rate_interval]))`,
          legend: WHO,
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Open files',
      description: 'Of the limit of each process. Steady growth: connections or files are not closed.',
      unit: 'short',
      min: 0,
      queries: [{ expr: `process_open_fds{${N}}`, legend: WHO }],
    },
    {
      kind: 'timeseries',
      title: 'Free disk',
      description:
        'Of the file systems of each node’s own folder, of its objects (memory, as a rule) and of run folders.',
      unit: 'bytes',
      min: 0,
      queries: [{ expr: `ballast_disk_free_bytes{${N}}`, legend: '{{folder}} {{instance}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Age of processes',
      description: 'A line that falls to zero is a restart.',
      unit: 's',
      min: 0,
      queries: [{ expr: `time() - process_start_time_seconds{${N}}`, legend: WHO }],
    },
  ],
};

export const runtime: Dashboard = {
  name: 'runtime',
  title: 'Runtime',
  description: 'Nodes, actors, calls, objects, leases, events and processes.',
  variables: [NODE],
  rows: [now, actors, calls, api, objects, controlPlane, synthesisRuns, processes],
};
