/** Synthesis: the requested images, the workers, their speed, and the repeated work. */
import { type Dashboard, RUN } from './panels.ts';

const PER_WORKER =
  'sum(ballast_synthesis_backlog_seconds) / clamp_min(sum(ballast_synthesis_workers{state="alive"}), 1)';

export const synthesis: Dashboard = {
  name: 'synthesis',
  title: 'Synthesis',
  description: 'Demand and supply of synthetic images: backlog, workers, shards and their times.',
  variables: [RUN],
  rows: [
    {
      title: 'Demand and supply',
      panels: [
        {
          kind: 'timeseries',
          title: 'Backlog by run',
          description:
            'Worker-seconds of synthesis that wait or are being made. Sync runs ask for an epoch at a time: saw teeth.',
          unit: 's',
          min: 0,
          isStacked: true,
          queries: [
            { expr: 'sum by (run) (ballast_synthesis_backlog_seconds{run=~"$run"})', legend: 'run {{run}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Backlog per worker',
          description:
            'Seconds that the living workers need for the backlog; the autoscaler reads the maximum of ten minutes. Above an hour: BallastBacklogHigh.',
          unit: 's',
          min: 0,
          queries: [
            { expr: PER_WORKER, legend: 'now' },
            {
              expr: 'sum(max_over_time(ballast_synthesis_backlog_seconds[10m])) / clamp_min(sum(ballast_synthesis_workers{state="alive"}), 1)',
              legend: 'largest of 10 minutes',
            },
          ],
          thresholds: [
            { from: null, color: 'green' },
            { from: 3600, color: 'red' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Workers of the pool',
          description:
            'Diffusion workers by state. Starting ones that never become alive: look at actor restarts in Runtime.',
          unit: 'short',
          min: 0,
          isStacked: true,
          queries: [{ expr: 'sum by (state) (ballast_synthesis_workers)', legend: '{{state}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Images per second',
          description:
            'Images that workers made, and images that trainers received. A lasting difference is work done twice or lost.',
          unit: 'cps',
          min: 0,
          queries: [
            { expr: 'sum(rate(ballast_worker_images_total[$__rate_interval]))', legend: 'made by workers' },
            { expr: 'sum(rate(ballast_images_total[$__rate_interval]))', legend: 'received for runs' },
            {
              expr: 'sum(rate(ballast_trainer_synthetic_images_total[$__rate_interval]))',
              legend: 'taken by trainers',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Worker-seconds per image',
          description:
            'Compute time, measured at the workers and as the coordinator averages it. It turns images into backlog.',
          unit: 's',
          min: 0,
          queries: [
            {
              expr: 'sum(rate(ballast_worker_shard_seconds_sum[5m])) / sum(rate(ballast_worker_images_total[5m]))',
              legend: 'measured by workers',
            },
            { expr: 'max(ballast_synthesis_image_seconds)', legend: 'average of the coordinator' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Total images made',
          description:
            'Since each run began here. Flat for long while it should synthesise: BallastRunStalled.',
          unit: 'short',
          min: 0,
          queries: [{ expr: 'sum by (run) (ballast_images_total{run=~"$run"})', legend: 'run {{run}}' }],
        },
      ],
    },
    {
      title: 'Shards',
      panels: [
        {
          kind: 'timeseries',
          title: 'Shards of the epoch by state',
          description:
            'Pending, assigned to a worker, made, committed (the trainer has it). Committed grows to all, then it begins anew.',
          unit: 'short',
          min: 0,
          isStacked: true,
          queries: [{ expr: 'sum by (state) (ballast_shards{run=~"$run"})', legend: '{{state}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Shards waiting for a worker',
          description:
            'Zero while every shard of the epoch is with a worker. High with idle workers: they are not given any.',
          unit: 'short',
          min: 0,
          queries: [{ expr: 'sum by (run) (ballast_queue_depth{run=~"$run"})', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Shards repeated, last 30 minutes',
          description:
            'Because a worker died or failed. A few when workers are scaled in by force; a tenth of all: BallastShardsRedone.',
          unit: 'short',
          min: 0,
          queries: [
            {
              expr: 'sum by (run) (increase(ballast_shards_redone_total{run=~"$run"}[30m]))',
              legend: 'run {{run}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Compute time of a shard',
          description:
            'Half of the shards take less than p50, nearly all less than p95. Grace periods must be longer than p95.',
          unit: 's',
          min: 0,
          queries: [
            {
              expr: 'histogram_quantile(0.5, sum by (le) (rate(ballast_synthesis_seconds_bucket{run=~"$run"}[5m])))',
              legend: 'p50',
            },
            {
              expr: 'histogram_quantile(0.95, sum by (le) (rate(ballast_synthesis_seconds_bucket{run=~"$run"}[5m])))',
              legend: 'p95',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Compute time of a shard by worker',
          description:
            'Mean of five minutes. One slow worker among equal ones: its machine is busy, hot or throttled.',
          unit: 's',
          min: 0,
          queries: [
            {
              expr: 'rate(ballast_worker_shard_seconds_sum[5m]) / rate(ballast_worker_shard_seconds_count[5m])',
              legend: '{{actor}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Time spent on graphs, last 5 minutes',
          description:
            'Time in which workers and trainers made graphs ready instead of computing. Much of an epoch: shards are too few, or processors too busy.',
          unit: 's',
          min: 0,
          queries: [
            { expr: 'sum by (source) (increase(ballast_graph_seconds_total[5m]))', legend: '{{source}}' },
          ],
        },
      ],
    },
    {
      title: 'Each worker',
      panels: [
        {
          kind: 'timeseries',
          title: 'Busy share',
          description:
            'Of the last five minutes, spent computing shards. Low with a backlog: the worker waits for weights, anchors or shards.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: 'actor:ballast_worker_busy:ratio5m', legend: '{{actor}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Images per second',
          description: 'Made by each worker. Equal machines should be equally fast.',
          unit: 'cps',
          min: 0,
          queries: [
            {
              expr: 'sum by (actor) (rate(ballast_worker_images_total[$__rate_interval]))',
              legend: '{{actor}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Shards at each worker',
          description:
            'Asked of it and not finished. It never has more than its credit; zero for all: nothing to do.',
          unit: 'short',
          min: 0,
          queries: [{ expr: 'ballast_worker_queue_depth', legend: '{{actor}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Graphs prepared, last 5 minutes',
          description:
            'Compiled, or read from the cache on disk. Weights are built into a worker’s graph: it compiles one for each version of them.',
          unit: 'short',
          min: 0,
          queries: [{ expr: 'sum by (source) (increase(ballast_graphs_total[5m]))', legend: '{{source}}' }],
        },
      ],
    },
  ],
};
