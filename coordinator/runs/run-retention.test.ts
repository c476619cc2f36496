import { describe, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import type { RunRecord, RunState } from './run-record.ts';
import { deleteDueRuns, dueRuns } from './run-retention.ts';

const HOUR_MS = 3_600_000;
const ALL = { maxAgeMs: Infinity, maxCount: Infinity };

/** Ended this many hours after 1970; null has not ended. */
function run(id: string, endedHour: number | null, state: RunState = 'succeeded'): RunRecord {
  const endedAt = endedHour === null ? null : new Date(endedHour * HOUR_MS).toISOString();
  return { id, state: endedAt === null ? 'running' : state, endedAt } as RunRecord;
}

const RUNS = [run('old', 1), run('new', 9), run('going', null), run('middle', 5, 'failed')];

describe('runs that are due', () => {
  it.each([
    ['none without limits', ALL, []],
    ['by age', { ...ALL, maxAgeMs: 5 * HOUR_MS }, ['old', 'middle']],
    ['by number, those that ended last stay', { ...ALL, maxCount: 1 }, ['old', 'middle']],
    ['by either', { maxAgeMs: 9 * HOUR_MS, maxCount: 2 }, ['old']],
    ['all that have ended', { ...ALL, maxCount: 0 }, ['old', 'middle', 'new']],
  ])('%s', (_, keep, due) => expect(dueRuns(RUNS, keep, 10 * HOUR_MS)).toEqual(due));
});

it('one that cannot be deleted does not keep the others', async () => {
  const lines: string[] = [];
  const deleted: string[] = [];
  const runs = {
    list: () => RUNS,
    delete: (id: string) => {
      if (id === 'old') return Promise.reject(new Error('the disk is read-only'));
      return Promise.resolve(deleted.push(id) > 0);
    },
  };
  const log = createLog({ write: (line) => lines.push(line) });
  await deleteDueRuns(runs, { ...ALL, maxCount: 0 }, log, 10 * HOUR_MS);
  expect(deleted).toEqual(['middle', 'new']);
  expect(lines.filter((line) => line.includes('the disk is read-only'))).toHaveLength(1);
});
