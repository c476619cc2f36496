import { describe, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import { EventRetention } from './event-retention.ts';
import type { RunRecord, RunState } from './run-record.ts';

const HOUR_MS = 3_600_000;
const config = parseRunConfig({ method: 'erm', data: { source: 'data' } });

function record(id: string, state: RunState, endedMs: number | null): RunRecord {
  const time = (ms: number) => new Date(ms).toISOString();
  return {
    ...{ id, state, config, reason: '', weight: 1, labels: {}, request: null },
    ...{ createdAt: time(0), startedAt: time(0), endedAt: endedMs === null ? null : time(endedMs) },
  };
}

function retentionOf(records: RunRecord[], remove: (run: string) => Promise<void>) {
  const lines: string[] = [];
  const log = createLog({ write: (line) => lines.push(line) });
  const runs = { list: () => records };
  return { retention: new EventRetention({ runs, mirror: { remove }, keepMs: HOUR_MS, log }), lines };
}

describe('events of runs', () => {
  it('go once when their run has ended for long enough, and again when it was resumed and has ended again', async () => {
    const records = [record('a', 'succeeded', 0), record('b', 'failed', 5000), record('c', 'running', null)];
    const removed: string[] = [];
    const { retention } = retentionOf(records, (run) => Promise.resolve(void removed.push(run)));
    await retention.look(HOUR_MS - 1);
    expect(removed).toEqual([]);
    await retention.look(HOUR_MS);
    await retention.look(HOUR_MS + 4999);
    expect(removed).toEqual(['a']);
    await retention.look(HOUR_MS + 5000);
    expect(removed).toEqual(['a', 'b']);
    records[1] = record('b', 'running', null);
    await retention.look(3 * HOUR_MS);
    records[1] = record('b', 'cancelled', 3 * HOUR_MS);
    await retention.look(4 * HOUR_MS);
    expect(removed).toEqual(['a', 'b', 'b']);
  });

  it('that cannot be removed are tried again the next time', async () => {
    let isAway = true;
    const removed: string[] = [];
    const { retention, lines } = retentionOf([record('a', 'succeeded', 0)], (run) => {
      if (isAway) return Promise.reject(new Error('NATS is away'));
      return Promise.resolve(void removed.push(run));
    });
    await retention.look(HOUR_MS);
    expect(lines).toHaveLength(1);
    isAway = false;
    await retention.look(HOUR_MS);
    await retention.look(HOUR_MS);
    expect(removed).toEqual(['a']);
    expect(lines).toHaveLength(1);
  });
});
