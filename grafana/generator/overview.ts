/** The first look: is anything wrong, is work going on, and where to look next. */
import { type Dashboard, NODE, RUN } from './panels.ts';

const FIRING = 'ALERTS{alertstate="firing",service="ballast"}';

export const overview: Dashboard = {
  name: 'overview',
  title: 'Overview',
  description:
    'Begin here. The first line says whether something is wrong; docs/runbooks.md has a section for every alert.',
  variables: [RUN, NODE],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Alerts firing',
          description: 'Alerts of Ballast that fire now. They are listed below, each with its runbook.',
          unit: 'none',
          queries: [{ expr: `count(${FIRING}) or vector(0)`, legend: 'alerts' }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 1, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Targets down',
          description:
            'Scraped processes of Ballast that do not answer. More than none for minutes: BallastTargetDown.',
          unit: 'none',
          queries: [{ expr: 'count(up{job=~".*ballast.*"} == 0) or vector(0)', legend: 'targets' }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 1, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Active runs',
          description: 'Runs that the coordinator executes; one where only `ballast run` is scraped.',
          unit: 'none',
          queries: [{ expr: 'sum(ballast_runs{state="running"}) or count(ballast_epoch)', legend: 'runs' }],
        },
        {
          kind: 'stat',
          title: 'Queued runs',
          description:
            'Runs that were accepted and wait for their turn. Normal while as many go on as `--max-runs` allows.',
          unit: 'none',
          queries: [{ expr: 'sum(ballast_runs{state="queued"}) or vector(0)', legend: 'runs' }],
        },
        {
          kind: 'stat',
          title: 'Nodes alive',
          description: 'Nodes of the cluster that take actors, as the best informed node sees it.',
          unit: 'none',
          queries: [{ expr: 'max(ballast_nodes{state="alive"})', legend: 'nodes' }],
        },
        {
          kind: 'stat',
          title: 'Workers alive',
          description:
            'Diffusion workers whose process runs. None while there is a backlog: BallastNoWorkers.',
          unit: 'none',
          queries: [
            {
              expr: 'max(ballast_actors{type="diffusion-worker",state="alive"}) or vector(0)',
              legend: 'workers',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Images per second',
          description:
            'Synthetic images that trainers received, all runs together. It falls to zero while runs train.',
          unit: 'none',
          decimals: 1,
          queries: [{ expr: 'sum(rate(ballast_images_total[$__rate_interval]))', legend: 'images/s' }],
        },
        {
          kind: 'stat',
          title: 'Backlog per worker',
          description:
            'Seconds that every worker would need for all images that wait. It is what the autoscaler looks at.',
          unit: 's',
          queries: [
            {
              expr: 'sum(ballast_synthesis_backlog_seconds) / clamp_min(sum(ballast_synthesis_workers{state="alive"}), 1)',
              legend: 'each worker',
            },
          ],
        },
      ],
    },
    {
      title: 'Problems',
      panels: [
        {
          kind: 'table',
          title: 'Firing alerts',
          description:
            'Empty when all is well. The runbook of an alert is docs/runbooks.md#<its name in small letters>.',
          unit: 'none',
          width: 16,
          queries: [{ expr: FIRING, legend: '' }],
          columns: {
            alertname: 'alert',
            severity: 'severity',
            run: 'run',
            class: 'class',
            instance: 'node',
            type: 'actor type',
            method: 'method',
            Hostname: 'host',
          },
        },
        {
          kind: 'timeseries',
          title: 'Problems by kind',
          description:
            'Events of the last five minutes that should be rare: restarted actors, lost nodes and leases, shards made again, failed calls.',
          unit: 'short',
          min: 0,
          height: 7,
          queries: [
            {
              expr: 'max(sum by (instance) (increase(ballast_actor_restarts_total[5m]))) or vector(0)',
              legend: 'actor restarts',
            },
            {
              expr: 'max(increase(ballast_nodes_gone_total{cause!="left"}[5m])) or vector(0)',
              legend: 'nodes lost',
            },
            { expr: 'sum(increase(ballast_lease_losses_total[5m])) or vector(0)', legend: 'leases lost' },
            {
              expr: 'sum(increase(ballast_shards_redone_total[5m])) or vector(0)',
              legend: 'shards made again',
            },
            {
              expr: 'sum(increase(ballast_calls_total{code=~"INTERNAL|UNKNOWN|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|DATA_LOSS"}[5m])) or vector(0)',
              legend: 'calls failed',
            },
          ],
        },
      ],
    },
    {
      title: 'Runs',
      panels: [
        {
          kind: 'bargauge',
          title: 'Progress',
          description: 'Share of its epochs that each run has completed.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: '(ballast_epoch{run=~"$run"} - 1) / on (run) ballast_epochs{run=~"$run"}',
              legend: '{{run}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Balanced accuracy on validation images',
          description:
            'Mean recall of the classes. It should rise and then level; a lasting fall: BallastValidationDropped.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: 'ballast_validation_balanced_accuracy{run=~"$run"}', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Worst class',
          description:
            'Accuracy of the class that is recognised worst, on training images. Which one: Ballast / Method.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: 'min by (run) (ballast_class_accuracy{run=~"$run"})', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Images per second',
          description:
            'Synthetic images that the trainer received. Gaps are normal: there a run trains or evaluates.',
          unit: 'cps',
          min: 0,
          queries: [
            {
              expr: 'sum by (run) (rate(ballast_images_total{run=~"$run"}[$__rate_interval]))',
              legend: 'run {{run}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Training steps per second',
          description: 'Optimiser steps of each trainer. Gaps are normal: there a run waits for images.',
          unit: 'ops',
          min: 0,
          queries: [
            {
              expr: 'sum by (actor) (rate(ballast_trainer_steps_total{actor=~"($run.*-)?classifier-trainer"}[$__rate_interval]))',
              legend: '{{actor}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Backlog',
          description:
            'Worker-seconds of synthesis that wait or are being made. A steady rise: too few workers.',
          unit: 's',
          min: 0,
          isStacked: true,
          queries: [
            { expr: 'sum by (run) (ballast_synthesis_backlog_seconds{run=~"$run"})', legend: 'run {{run}}' },
          ],
        },
      ],
    },
    {
      title: 'Machines',
      panels: [
        {
          kind: 'timeseries',
          title: 'Processor cores used',
          description: 'By all processes of Ballast on a node.',
          unit: 'none',
          decimals: 1,
          min: 0,
          width: 6,
          queries: [
            {
              expr: 'sum by (instance) (rate(process_cpu_seconds_total{instance=~"$node"}[$__rate_interval]))',
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Memory',
          description:
            'Resident memory of all processes of Ballast on a node, without objects in shared memory.',
          unit: 'bytes',
          min: 0,
          width: 6,
          queries: [
            {
              expr: 'sum by (instance) (process_resident_memory_bytes{instance=~"$node"})',
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Disk used',
          description: 'Of the file systems that a node writes to. Above 90%: BallastDiskFilling.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          width: 6,
          queries: [
            {
              expr: '1 - ballast_disk_free_bytes{instance=~"$node"} / ballast_disk_bytes{instance=~"$node"}',
              legend: '{{instance}} {{folder}}',
            },
          ],
          thresholds: [
            { from: null, color: 'green' },
            { from: 0.9, color: 'red' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Event-loop delay, p99',
          description:
            'The slowest process of each node. Above a second, heartbeats and leases are late: BallastEventLoopBlocked.',
          unit: 's',
          min: 0,
          width: 6,
          queries: [
            {
              expr: 'max by (instance) (nodejs_eventloop_lag_p99_seconds{instance=~"$node"})',
              legend: '{{instance}}',
            },
          ],
        },
      ],
    },
  ],
};
