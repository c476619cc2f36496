import { expect, it } from 'vitest';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import { nextStep } from './next-step.ts';
import { type Condition, FINALISER, type Status, type SynthesisRun } from './synthesis-run.ts';

interface Case {
  /** Whether the finaliser is set. */
  held?: boolean;
  suspend?: boolean;
  deleted?: boolean;
  status?: Partial<Status>;
  /** State of the run; left out where there is none. */
  run?: Run__Output['state'];
}

const condition = (
  type: Condition['type'],
  status: Condition['status'],
  reason: string,
): Partial<Status> => ({
  conditions: [{ type, status, reason, message: '', lastTransitionTime: '', observedGeneration: 1 }],
});
const SUSPENDED = { run: 'runs/a', ...condition('Suspended', 'True', 'Suspended') };
const SUSPENDING = { run: 'runs/a', ...condition('Suspended', 'False', 'Suspending') };

function stepOf({ held = false, suspend, deleted = false, status, run }: Case) {
  const metadata = { name: 'a', namespace: 'n', uid: 'u', generation: 1, resourceVersion: '1' };
  const object: SynthesisRun = {
    metadata: {
      ...metadata,
      ...(held ? { finalizers: [FINALISER] } : {}),
      ...(deleted ? { deletionTimestamp: '2026-11-29T00:00:00Z' } : {}),
    },
    spec: { config: {}, suspend },
    status,
  };
  return nextStep(object, run === undefined ? null : ({ state: run } as Run__Output));
}

it.each<[string, Case, string]>([
  ['a new object is held before its run is made', {}, 'hold'],
  ['then its run is made', { held: true }, 'create'],
  ['a run that goes on is left alone', { held: true, run: 'STATE_RUNNING' }, 'settled'],
  ['one that was resumed by others is held again', { run: 'STATE_QUEUED' }, 'hold'],
  ['an object whose run has ended is let go', { held: true, run: 'STATE_SUCCEEDED' }, 'release'],
  ['and left alone', { run: 'STATE_FAILED' }, 'settled'],
  ['a new object that is suspended makes no run', { suspend: true }, 'settled'],
  ['suspended, a run is stopped', { held: true, suspend: true, run: 'STATE_RUNNING' }, 'cancel'],
  ['once stopped, the object is let go', { held: true, suspend: true, run: 'STATE_CANCELLED' }, 'release'],
  ['wanted again, it is held first', { run: 'STATE_CANCELLED', status: SUSPENDED }, 'hold'],
  ['then resumed', { held: true, run: 'STATE_CANCELLED', status: SUSPENDED }, 'resume'],
  [
    'also where the controller ended while it stopped the run',
    { held: true, run: 'STATE_CANCELLED', status: SUSPENDING },
    'resume',
  ],
  [
    'a run that is still stopping stops before it is resumed',
    { held: true, run: 'STATE_RUNNING', status: SUSPENDING },
    'cancel',
  ],
  [
    'a run that others cancelled stays so',
    { held: true, run: 'STATE_CANCELLED', status: { run: 'runs/a' } },
    'release',
  ],
  ['a run that was deleted is not made again', { held: true, status: { run: 'runs/a' } }, 'release'],
  [
    'what the coordinator refused is not asked again',
    { held: true, status: condition('Accepted', 'False', 'ConfigInvalid') },
    'release',
  ],
  ['a deleted object stops its run', { held: true, deleted: true, run: 'STATE_RUNNING' }, 'cancel'],
  ['then goes', { held: true, deleted: true, run: 'STATE_CANCELLED' }, 'release'],
  ['also where no run was made', { held: true, deleted: true }, 'release'],
  ['a finaliser of others is theirs', { deleted: true, run: 'STATE_RUNNING' }, 'settled'],
])('%s', (_what, given, step) => {
  expect(stepOf(given)).toBe(step);
});
