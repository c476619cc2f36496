import { describe, expect, it } from 'vitest';
import {
  advance,
  assign,
  countByState,
  createSchedule,
  hopeless,
  isComplete,
  nextRetryMs,
  type Assignment,
  type Schedule,
  type ScheduleEvent,
} from './scheduler.ts';

const OPTIONS = { creditsPerWorker: 2, maxAttempts: 3, retryDelayMs: 100 };
const A1 = { worker: 'a', incarnation: 1 };
const A2 = { worker: 'a', incarnation: 2 };
const B1 = { worker: 'b', incarnation: 1 };

function after(schedule: Schedule, ...events: ScheduleEvent[]): Schedule {
  return events.reduce((state, event) => advance(state, event, 0), schedule);
}

function started(shards: number): { schedule: Schedule; assignments: Assignment[] } {
  const both = after(
    createSchedule(shards, OPTIONS),
    { type: 'worker-alive', holder: A1 },
    { type: 'worker-alive', holder: B1 },
  );
  return assign(both, 0);
}

describe('assign', () => {
  it('spreads shards over the workers up to their credit, in order', () => {
    const { schedule, assignments } = started(6);
    expect(assignments).toEqual([
      { shard: 0, holder: A1, attempt: 1 },
      { shard: 1, holder: B1, attempt: 1 },
      { shard: 2, holder: A1, attempt: 1 },
      { shard: 3, holder: B1, attempt: 1 },
    ]);
    expect(countByState(schedule)).toEqual({ pending: 2, assigned: 4, made: 0, committed: 0 });
    expect(assign(schedule, 0).assignments).toEqual([]);
  });

  it('gives a worker its next shard when one is made, before the trainer holds it', () => {
    const { schedule, assignments } = started(6);
    const made = after(schedule, { type: 'made', assignment: assignments[1]!, batch: 'ref' });
    expect(assign(made, 0).assignments).toEqual([{ shard: 4, holder: B1, attempt: 1 }]);
  });

  it('gives nothing without workers', () => {
    expect(assign(createSchedule(2, OPTIONS), 0).assignments).toEqual([]);
  });
});

describe('advance', () => {
  it('completes when every shard is made and committed', () => {
    const { schedule, assignments } = started(2);
    const done = after(
      schedule,
      { type: 'made', assignment: assignments[0]!, batch: 'r0' },
      { type: 'committed', assignment: assignments[0]! },
      { type: 'made', assignment: assignments[1]!, batch: 'r1' },
    );
    expect(isComplete(done)).toBe(false);
    expect(isComplete(after(done, { type: 'committed', assignment: assignments[1]! }))).toBe(true);
    expect(done.redone).toBe(0);
  });

  it('takes back what a dead worker was given and what it had made, but not what is committed', () => {
    const { schedule, assignments } = started(5);
    const [first, , third] = assignments;
    const dead = after(
      schedule,
      { type: 'made', assignment: first!, batch: 'r0' },
      { type: 'committed', assignment: first! },
      { type: 'made', assignment: third!, batch: 'r2' },
    );
    const regiven = assign(dead, 0).schedule; // worker a takes shard 4
    const lost = after(regiven, { type: 'worker-dead', holder: A1, reason: 'SIGKILL' });
    expect([...lost.shards].map(({ current }) => current.state)).toEqual([
      'committed',
      'assigned',
      'pending',
      'assigned',
      'pending',
    ]);
    expect(lost.redone).toBe(2);
    expect(lost.shards.at(2)!.lastFailure).toBe('worker a died: SIGKILL');
    const again = after(lost, { type: 'made', assignment: assignments[1]!, batch: 'r1' });
    expect(assign(again, 0).assignments).toEqual([{ shard: 2, holder: B1, attempt: 2 }]);
  });

  it('ignores answers from before a death, and a second report of a death', () => {
    const { schedule, assignments } = started(1);
    const lost = after(schedule, { type: 'worker-dead', holder: A1, reason: 'x' });
    expect(after(lost, { type: 'made', assignment: assignments[0]!, batch: 'late' })).toBe(lost);
    expect(after(lost, { type: 'committed', assignment: assignments[0]! })).toBe(lost);
    expect(after(lost, { type: 'worker-dead', holder: A1, reason: 'x' })).toBe(lost);
  });

  it('takes a new incarnation as the death of the old one', () => {
    const { schedule } = started(1);
    const renewed = after(schedule, { type: 'worker-alive', holder: A2 });
    expect(renewed.shards.at(0)!.current.state).toBe('pending');
    expect(renewed.workers).toEqual({ a: 2, b: 1 });
    expect(after(renewed, { type: 'worker-alive', holder: A1 })).toBe(renewed);
    expect(after(renewed, { type: 'worker-dead', holder: A1, reason: 'late' })).toBe(renewed);
  });

  it('waits longer after each failure, then gives up with a reason', () => {
    let { schedule, assignments } = started(1);
    schedule = advance(schedule, { type: 'failed', assignment: assignments[0]!, reason: 'no memory' }, 1000);
    expect(assign(schedule, 1099).assignments).toEqual([]);
    expect(nextRetryMs(schedule, 1000)).toBe(1100);
    ({ schedule, assignments } = assign(schedule, 1100));
    expect(assignments[0]!.attempt).toBe(2);
    schedule = advance(schedule, { type: 'made', assignment: assignments[0]!, batch: 'r' }, 1200);
    schedule = advance(
      schedule,
      { type: 'commit-failed', assignment: assignments[0]!, reason: 'torn' },
      1200,
    );
    expect(nextRetryMs(schedule, 1200)).toBe(1400); // 100 · 2^1
    expect(hopeless(schedule)).toBeNull();
    ({ schedule, assignments } = assign(schedule, 1400));
    schedule = advance(schedule, { type: 'failed', assignment: assignments[0]!, reason: 'no memory' }, 1500);
    expect(hopeless(schedule)).toBe('shard 0 failed 3 times; the last time: no memory');
  });
});
