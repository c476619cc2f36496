/**
 * NATS, by prometheus-nats-exporter as the official Helm chart starts it: `-varz -connz -jsz=all -prefix=nats
 * -use_internal_server_id`. All of its metrics are gauges, counts too.
 */
import { type Dashboard, type Variable } from './panels.ts';

const SERVER: Variable = { name: 'node', label: 'NATS server', query: 'label_values(nats_varz_connections, instance)' }; // prettier-ignore
const N = 'instance=~"$node"';

export const nats: Dashboard = {
  name: 'nats',
  title: 'NATS',
  description: 'The server that carries registry and events, and the latency that Ballast sees.',
  variables: [SERVER],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Servers',
          description: 'NATS servers whose exporter answers.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `count(nats_varz_connections{${N}})`, legend: 'servers' }],
        },
        {
          kind: 'stat',
          title: 'Connections',
          description: 'Each node and coordinator of Ballast has one or two.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `sum(nats_varz_connections{${N}})`, legend: 'connections' }],
        },
        {
          kind: 'stat',
          title: 'Slow consumers, last hour',
          description: 'Clients that were cut off because they read too slowly. Any: NatsSlowConsumers.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `sum(increase(nats_varz_slow_consumers{${N}}[1h]))`, legend: 'slow consumers' }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 1, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Storage used',
          description:
            'Of what JetStream may take on disk. Full: nothing is stored any more (NatsStorageNearFull).',
          unit: 'percentunit',
          width: 4,
          queries: [
            {
              expr: `max(nats_server_total_message_bytes{${N}} / nats_server_max_storage{${N}})`,
              legend: 'storage',
            },
          ],
          thresholds: [
            { from: null, color: 'green' },
            { from: 0.8, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Streams',
          description: 'On this server: one of events for each run, and the buckets of registry and leases.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `max(nats_server_total_streams{${N}})`, legend: 'streams' }],
        },
        {
          kind: 'stat',
          title: 'JetStream',
          description: 'Without it Ballast cannot use this server.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `max(nats_server_jetstream_disabled{${N}})`, legend: 'JetStream' }],
          words: { 0: 'on', 1: 'off' },
          thresholds: [
            { from: null, color: 'green' },
            { from: 1, color: 'red' },
          ],
        },
      ],
    },
    {
      title: 'Traffic',
      panels: [
        {
          kind: 'timeseries',
          title: 'Messages per second',
          description: 'To and from each server.',
          unit: 'cps',
          min: 0,
          queries: [
            { expr: `rate(nats_varz_in_msgs{${N}}[$__rate_interval])`, legend: 'in {{instance}}' },
            { expr: `rate(nats_varz_out_msgs{${N}}[$__rate_interval])`, legend: 'out {{instance}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Bytes per second',
          description: 'Registry entries and events are small; images and weights never go this way.',
          unit: 'Bps',
          min: 0,
          queries: [
            { expr: `rate(nats_varz_in_bytes{${N}}[$__rate_interval])`, legend: 'in {{instance}}' },
            { expr: `rate(nats_varz_out_bytes{${N}}[$__rate_interval])`, legend: 'out {{instance}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Connections and subscriptions',
          description:
            'A fall of connections that comes back: clients were cut off, or the server restarted.',
          unit: 'short',
          min: 0,
          queries: [
            { expr: `nats_varz_connections{${N}}`, legend: 'connections {{instance}}' },
            { expr: `nats_varz_subscriptions{${N}}`, legend: 'subscriptions {{instance}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Slow consumers',
          description: 'Clients cut off since the server started. Steps up: NatsSlowConsumers.',
          unit: 'short',
          min: 0,
          queries: [{ expr: `nats_varz_slow_consumers{${N}}`, legend: '{{instance}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Processor',
          description: 'Percent of one core, as the server measures it.',
          unit: 'percent',
          min: 0,
          queries: [{ expr: `nats_varz_cpu{${N}}`, legend: '{{instance}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Memory',
          description: 'Resident memory of the server.',
          unit: 'bytes',
          min: 0,
          queries: [{ expr: `nats_varz_mem{${N}}`, legend: '{{instance}}' }],
        },
      ],
    },
    {
      title: 'JetStream',
      panels: [
        {
          kind: 'timeseries',
          title: 'Stored bytes by stream',
          description:
            'Each run has a stream of events, which stays when it ends; the buckets of the registry stay small.',
          unit: 'bytes',
          min: 0,
          isStacked: true,
          queries: [
            {
              expr: `topk(10, max by (stream_name) (nats_stream_total_bytes{${N}}))`,
              legend: '{{stream_name}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Stored messages by stream',
          description: 'Buckets (KV_…) hold one for each key, a stream of events all of its run.',
          unit: 'short',
          min: 0,
          queries: [
            {
              expr: `topk(10, max by (stream_name) (nats_stream_total_messages{${N}}))`,
              legend: '{{stream_name}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Messages pending at consumers',
          description:
            'The most of any consumer of each stream. Growing: a subscriber is stuck (BallastEventLag).',
          unit: 'short',
          min: 0,
          queries: [
            {
              expr: `topk(10, max by (stream_name) (nats_consumer_num_pending{${N}}))`,
              legend: '{{stream_name}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Seen from Ballast',
      panels: [
        {
          kind: 'timeseries',
          title: 'Time of a registry operation, p99',
          description: 'As clients measure it, by kind. Near the lease time, leases are lost.',
          unit: 's',
          min: 0,
          width: 12,
          queries: [{ expr: 'kind:ballast_registry_operation_seconds:p99_5m', legend: '{{kind}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Events pending at subscribers',
          description:
            'The largest of each bus and filter. Growing: a subscriber is slow or stuck (BallastEventLag).',
          unit: 'short',
          min: 0,
          width: 12,
          queries: [{ expr: 'max by (bus, filter) (ballast_event_lag)', legend: '{{bus}} {{filter}}' }],
        },
      ],
    },
  ],
};
