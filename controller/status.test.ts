// Cases in which the status has to remember: what was refused, suspended or cancelled stays so.
import { expect, it } from 'vitest';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import { type Problem, statusOf } from './status.ts';
import type { Condition, Status, SynthesisRun } from './synthesis-run.ts';

const AWAY: Problem = { reason: 'CoordinatorUnavailable', message: 'cannot reach it', isFinal: false };
const REFUSAL: Problem = { reason: 'ConfigInvalid', message: 'epochs: too many', isFinal: true };

const runIn = (state: Run__Output['state']) =>
  ({
    ...{ name: 'runs/a', state, reason: '', weightsDigest: '', epoch: 1, epochs: 2 },
    ...{ startTime: null, endTime: null, test: null, validation: null },
  }) as Run__Output;

/** A SynthesisRun that is seen again and again, with the status of the time before. */
class Seen {
  #status: Status | undefined;
  readonly #now = ['2026-11-30T00:00:00Z', '2026-11-30T00:01:00Z'];

  see(run: Run__Output | null, { suspend = false, problem = null as Problem | null } = {}): Status {
    const metadata = { name: 'a', namespace: 'n', uid: 'u', generation: 1, resourceVersion: '1' };
    const object: SynthesisRun = { metadata, spec: { config: {}, suspend }, status: this.#status };
    this.#status = statusOf(object, run, problem, this.#now.shift() ?? '2026-11-30T01:00:00Z');
    return this.#status;
  }
}

const conditionIn = ({ conditions }: Status, type: Condition['type']) => {
  const { status, reason } = conditions.find((condition) => condition.type === type)!;
  return [status, reason];
};

it('tells why a run is not made yet', () => {
  const status = new Seen().see(null, { problem: AWAY });
  expect(status).toMatchObject({ phase: 'Pending', message: 'cannot reach it' });
  expect(conditionIn(status, 'Accepted')).toEqual(['Unknown', 'CoordinatorUnavailable']);
});

it('keeps a refusal while the coordinator is away', () => {
  const seen = new Seen();
  const refused = seen.see(null, { problem: REFUSAL });
  expect(conditionIn(refused, 'Accepted')).toEqual(['False', 'ConfigInvalid']);
  expect(seen.see(null, { problem: AWAY })).toEqual(refused);
});

it('stays suspended while the coordinator is away', () => {
  const seen = new Seen();
  const suspended = seen.see(null, { suspend: true });
  expect(conditionIn(suspended, 'Suspended')).toEqual(['True', 'Suspended']);
  const away = seen.see(null, { suspend: true, problem: AWAY });
  expect([away.phase, conditionIn(away, 'Suspended')]).toEqual(['Suspended', ['True', 'Suspended']]);
});

it('is stopping until the run has stopped, also when it is no longer suspended', () => {
  const seen = new Seen();
  seen.see(runIn('STATE_RUNNING'), { suspend: true });
  expect(seen.see(runIn('STATE_RUNNING')).phase).toBe('Suspending');
  expect(seen.see(runIn('STATE_CANCELLED')).phase).toBe('Suspended');
  const resumed = seen.see(runIn('STATE_RUNNING'));
  expect([resumed.phase, conditionIn(resumed, 'Suspended')]).toEqual(['Running', ['False', 'Resumed']]);
});

it('is cancelled for good by another client, also when it is suspended later', () => {
  const seen = new Seen();
  seen.see(runIn('STATE_RUNNING'));
  const cancelled = seen.see(runIn('STATE_CANCELLED'));
  expect([cancelled.phase, conditionIn(cancelled, 'Failed')]).toEqual(['Cancelled', ['True', 'Cancelled']]);
  expect(seen.see(runIn('STATE_CANCELLED'), { suspend: true }).phase).toBe('Cancelled');
});
