/** Does the method work: accuracy, quotas, fidelity and staleness of each class and run. */
import { type Dashboard, RUN } from './panels.ts';

const RATE = { unit: 'percentunit', min: 0, max: 1 } as const;

export const method: Dashboard = {
  name: 'method',
  title: 'Method',
  description:
    'The state of one run: accuracy, quotas and fidelity by class, weights and their age. Choose one run.',
  variables: [RUN],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Epoch',
          description: 'Epoch in progress, from 1.',
          unit: 'none',
          queries: [{ expr: 'max(ballast_epoch{run=~"$run"})', legend: 'epoch' }],
          width: 4,
        },
        {
          kind: 'stat',
          title: 'Total epochs',
          description: 'Epochs that the run is configured for.',
          unit: 'none',
          queries: [{ expr: 'max(ballast_epochs{run=~"$run"})', legend: 'epochs' }],
          width: 4,
        },
        {
          kind: 'stat',
          title: 'Balanced accuracy',
          description: 'On validation images, after the last epoch: mean recall of the classes.',
          ...RATE,
          decimals: 1,
          queries: [{ expr: 'max(ballast_validation_balanced_accuracy{run=~"$run"})', legend: 'accuracy' }],
          width: 4,
        },
        {
          kind: 'stat',
          title: 'Worst class',
          description: 'Lowest accuracy of a class, on training images.',
          ...RATE,
          decimals: 1,
          queries: [{ expr: 'min(ballast_class_accuracy{run=~"$run"})', legend: 'accuracy' }],
          width: 4,
        },
        {
          kind: 'stat',
          title: 'Worst fidelity',
          description:
            'Smallest share of a class’s images in which the judge sees the class. Only runs with a judge have it.',
          ...RATE,
          decimals: 1,
          queries: [{ expr: 'min(ballast_class_fidelity{run=~"$run"})', legend: 'fidelity' }],
          width: 4,
        },
        {
          kind: 'stat',
          title: 'Training loss',
          description: 'Of the last optimiser step. It is noisy: its curve is below.',
          unit: 'none',
          queries: [
            { expr: 'max(ballast_trainer_loss{actor=~"($run.*-)?classifier-trainer"})', legend: 'loss' },
          ],
          width: 4,
        },
      ],
    },
    {
      title: 'Classes',
      panels: [
        {
          kind: 'bargauge',
          title: 'Accuracy by class, now',
          description:
            'On training images, smoothed, as adaptive sampling reads it. Short bars get most new images.',
          ...RATE,
          queries: [{ expr: 'min by (class) (ballast_class_accuracy{run=~"$run"})', legend: '{{class}}' }],
          thresholds: [
            { from: null, color: 'red' },
            { from: 0.5, color: 'orange' },
            { from: 0.8, color: 'green' },
          ],
        },
        {
          kind: 'bargauge',
          title: 'Share of the quota by class, now',
          description:
            'Of the images asked for in this epoch. One class with nearly everything may be one that cannot be learnt.',
          ...RATE,
          queries: [
            {
              expr: 'sum by (class) (ballast_class_quota{run=~"$run"}) / on () group_left () sum(ballast_class_quota{run=~"$run"})',
              legend: '{{class}}',
            },
          ],
          thresholds: [{ from: null, color: 'blue' }],
        },
        {
          kind: 'bargauge',
          title: 'Fidelity by class, last epoch',
          description:
            'Share of the images in which the independent judge sees their class. Low: synthesis teaches wrong things.',
          ...RATE,
          queries: [{ expr: 'min by (class) (ballast_class_fidelity{run=~"$run"})', legend: '{{class}}' }],
          thresholds: [
            { from: null, color: 'red' },
            { from: 0.25, color: 'orange' },
            { from: 0.6, color: 'green' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Accuracy by class',
          description:
            'The same over time. A class that falls by 40 points and stays there: BallastClassCollapsed.',
          ...RATE,
          width: 12,
          queries: [{ expr: 'ballast_class_accuracy{run=~"$run"}', legend: '{{class}} {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Quota by class',
          description:
            'Images asked for in each epoch. The stack’s height is the budget and does not change.',
          unit: 'short',
          min: 0,
          isStacked: true,
          width: 12,
          queries: [{ expr: 'ballast_class_quota{run=~"$run"}', legend: '{{class}} {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Recall by class, validation images',
          description:
            'Results of the classifier on images that it never saw. Small classes are noisy here: few images.',
          ...RATE,
          width: 12,
          queries: [{ expr: 'ballast_class_validation_recall{run=~"$run"}', legend: '{{class}} {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Fidelity by class',
          description:
            'The judge’s share of faithful images over time. It often falls when guidance is too strong.',
          ...RATE,
          width: 12,
          queries: [{ expr: 'ballast_class_fidelity{run=~"$run"}', legend: '{{class}} {{run}}' }],
        },
      ],
    },
    {
      title: 'Training',
      panels: [
        {
          kind: 'timeseries',
          title: 'Balanced accuracy on validation images',
          description: 'Should rise, then level. A lasting fall: BallastValidationDropped.',
          ...RATE,
          queries: [{ expr: 'ballast_validation_balanced_accuracy{run=~"$run"}', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Training loss',
          description:
            'Of the last optimiser step when it was asked. Not a number, or a jump that stays: see the trainer’s log.',
          unit: 'none',
          queries: [
            { expr: 'ballast_trainer_loss{actor=~"($run.*-)?classifier-trainer"}', legend: '{{actor}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Optimiser steps per second',
          description: 'Zero between epochs, while images are made.',
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
          title: 'Epoch in progress',
          description: 'Rises by one. A much longer epoch than before: BallastRunStalled may follow.',
          unit: 'none',
          min: 0,
          queries: [{ expr: 'ballast_epoch{run=~"$run"}', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Time of the last epoch by phase',
          description: 'How an epoch’s time divides into synthesis, training and evaluation.',
          unit: 's',
          min: 0,
          isStacked: true,
          queries: [{ expr: 'ballast_epoch_phase_seconds{run=~"$run"}', legend: '{{phase}} {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Mean time of a training epoch',
          description:
            'As the trainer measures it, without synthesis and evaluation, over the last half an hour.',
          unit: 's',
          min: 0,
          queries: [
            {
              expr: 'sum by (actor) (rate(ballast_trainer_epoch_seconds_sum{actor=~"($run.*-)?classifier-trainer"}[30m])) / sum by (actor) (rate(ballast_trainer_epoch_seconds_count{actor=~"($run.*-)?classifier-trainer"}[30m]))',
              legend: '{{actor}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Weights',
      panels: [
        {
          kind: 'timeseries',
          title: 'Age of the weights that guide',
          description:
            'Optimiser steps that the trainer is ahead of the weights that guided the epoch’s images: one epoch’s steps in sync mode. Two epochs’ and more: BallastWeightsStale.',
          unit: 'short',
          min: 0,
          width: 12,
          queries: [{ expr: 'ballast_weights_staleness{run=~"$run"}', legend: 'run {{run}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Version of the weights',
          description:
            'Optimiser steps behind what was announced, what the trainer published, and what workers guide with.',
          unit: 'short',
          min: 0,
          width: 12,
          queries: [
            { expr: 'ballast_weights_version{run=~"$run"}', legend: 'announced {{run}}' },
            {
              expr: 'ballast_trainer_weights_version{actor=~"($run.*-)?classifier-trainer"}',
              legend: '{{actor}}',
            },
            { expr: 'ballast_worker_weights_version', legend: '{{actor}}' },
          ],
        },
      ],
    },
  ],
};
