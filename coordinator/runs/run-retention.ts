/** Deletes runs that ended long ago, or that exceed the number to keep. Runs that have not ended always stay. */
import type { Log } from '../../common/log.ts';
import type { RunManager } from './run-manager.ts';
import { hasEnded, type RunRecord } from './run-record.ts';

export interface KeepRuns {
  /** Since their end, milliseconds; Infinity for ever. */
  readonly maxAgeMs: number;
  /** Ended runs, those that ended last; Infinity for all. */
  readonly maxCount: number;
}

/** How often it looks. */
export const RETENTION_PERIOD_MS = 60_000;

/** Whether anything is ever deleted. */
export function isLimited({ maxAgeMs, maxCount }: KeepRuns): boolean {
  return maxAgeMs !== Infinity || maxCount !== Infinity;
}

/** Ids of the runs that are due at `nowMs` (since 1970), the oldest first. */
export function dueRuns(records: readonly RunRecord[], { maxAgeMs, maxCount }: KeepRuns, nowMs: number): string[] {
  const endMs = ({ endedAt }: RunRecord) => Date.parse(endedAt!);
  const ended = records.filter(hasEnded).sort((a, b) => endMs(b) - endMs(a));
  return ended
    .filter((record, place) => place >= maxCount || endMs(record) + maxAgeMs <= nowMs)
    .map(({ id }) => id)
    .reverse();
}

/** Deletes the runs that are due. Logs those that cannot be deleted, and tries them again the next time. Never rejects. */
export async function deleteDueRuns(
  runs: Pick<RunManager, 'list' | 'delete'>,
  keep: KeepRuns,
  log: Log,
  nowMs: number,
  signal?: AbortSignal,
): Promise<void> {
  for (const run of dueRuns(runs.list(), keep, nowMs)) {
    if (signal?.aborted === true) return;
    try {
      if (await runs.delete(run)) log.info('a run was deleted: it is older, or one more, than is kept', { run });
    } catch (thrown) {
      log.warn('a run that should be deleted stays for now', { run, error: thrown });
    }
  }
}
