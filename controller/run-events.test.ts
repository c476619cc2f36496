import { expect, it } from 'vitest';
import { eventsOf } from './run-events.ts';
import type { Condition, Status, SynthesisRun } from './synthesis-run.ts';

const RUN = 'runs/photos-1f0c2a9b';

function status(more: Partial<Status> = {}, accepted: Partial<Condition> = {}): Status {
  const none = { startTime: null, completionTime: null, weightsDigest: null, metrics: null, message: null };
  const condition: Condition = {
    ...{ type: 'Accepted', status: 'True', reason: 'RunMade', message: '' },
    ...{ lastTransitionTime: '', observedGeneration: 1, ...accepted },
  };
  const progress = { epoch: null, epochs: 12 };
  return {
    observedGeneration: 1,
    run: RUN,
    phase: 'Queued',
    ...none,
    ...progress,
    conditions: [condition],
    ...more,
  };
}

function told(before: Status | undefined, now: Status, deleted = false): string[] {
  const object: SynthesisRun = {
    metadata: {
      ...{ name: 'photos', namespace: 'n', uid: 'u', generation: 1, resourceVersion: '1' },
      ...(deleted ? { deletionTimestamp: '2026-11-29T00:00:00Z' } : {}),
    },
    spec: { config: {} },
    ...(before === undefined ? {} : { status: before }),
  };
  return eventsOf(object, now).map(({ type, reason, note }) => `${type} ${reason}: ${note}`);
}

const NOT_ASKED = { status: 'Unknown', reason: 'NotAsked' } as const;
const pending = status({ run: null, phase: 'Pending' }, NOT_ASKED);
const running = status({ phase: 'Running', epoch: 0 });

it('reports a run from its creation to its end, and nothing twice', () => {
  expect(told(undefined, pending)).toEqual([]);
  expect(told(pending, status())).toEqual([`Normal Created: The coordinator has made ${RUN}`]);
  expect(told(status(), running)).toEqual([`Normal Started: ${RUN} is running`]);
  expect(told(running, status({ phase: 'Running', epoch: 3 }))).toEqual([]);
  const metrics = { split: 'test', accuracy: 0.9, balancedAccuracy: 0.7312, macroF1: 0.7 } as const;
  const end = { phase: 'Succeeded', metrics: { ...metrics, tailRecall: null, worstRecall: null } } as const;
  expect(told(running, status(end))).toEqual([
    `Normal Succeeded: ${RUN} has ended after 12 epochs; balanced accuracy 0.7312 on test images`,
  ]);
  expect(told(status(end), status(end))).toEqual([]);
});

it('reports a run that was created and begun between two looks', () => {
  expect(told(pending, running).map((line) => line.split(':')[0])).toEqual([
    'Normal Created',
    'Normal Started',
  ]);
});

it('reports a stop, and the continuation', () => {
  const stopped = status({ phase: 'Suspended', epoch: 4 });
  expect(told(status({ phase: 'Suspending', epoch: 4 }), stopped)).toEqual([
    `Normal Suspended: ${RUN} stopped after epoch 4 of 12`,
  ]);
  expect(told(stopped, status({ phase: 'Queued', epoch: 4 }))).toEqual([]);
  expect(told(status({ epoch: 4 }), status({ phase: 'Running', epoch: 4 }))).toEqual([
    `Normal Continued: ${RUN} goes on after epoch 4 of 12`,
  ]);
  expect(told(pending, status({ run: null, phase: 'Suspended' }, NOT_ASKED))).toEqual([
    'Normal Suspended: No run is made while spec.suspend is true',
  ]);
});

it('warns of a refusal once for each version of the object', () => {
  const refused = (observedGeneration: number) =>
    status(
      { run: null, phase: 'Failed', message: 'training.epochs: …' },
      { status: 'False', reason: 'ConfigInvalid', message: 'training.epochs: …', observedGeneration },
    );
  expect(told(pending, refused(1))).toEqual(['Warning ConfigInvalid: training.epochs: …']);
  expect(told(refused(1), refused(1))).toEqual([]);
  expect(told(refused(1), refused(2))).toEqual(['Warning ConfigInvalid: training.epochs: …']);
});

it('warns of a failure, and of a cancellation that deleting the object did not ask for', () => {
  expect(told(running, status({ phase: 'Failed', message: 'no worker' }))).toEqual([
    'Warning Failed: no worker',
  ]);
  const cancelled = status({ phase: 'Cancelled', message: 'cancelled by ops' });
  expect(told(running, cancelled)).toEqual(['Warning Cancelled: cancelled by ops']);
  expect(told(running, cancelled, true)).toEqual(['Normal Cancelled: cancelled by ops']);
});

it('cuts a note that the API server would refuse', () => {
  const [line = ''] = told(running, status({ phase: 'Failed', message: 'x'.repeat(5000) }));
  expect(line.length).toBe('Warning Failed: '.length + 1024);
});
