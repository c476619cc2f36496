/**
 * Takes the events of runs that ended some time ago away from NATS: they are in the runs' folders. Looks now and then, so
 * that it needs to remember nothing: a coordinator that starts asks once for every run that ended before.
 */
import type { Log } from '../../common/log.ts';
import { type Periodic, periodically } from './periodically.ts';
import type { EventMirror } from './run-execution.ts';
import type { RunManager } from './run-manager.ts';
import { hasEnded, type RunRecord } from './run-record.ts';

const LONGEST_WAIT_MS = 60_000;

export interface EventRetentionOptions {
  readonly runs: Pick<RunManager, 'list'>;
  readonly mirror: Pick<EventMirror, 'remove'>;
  /** How long events stay after a run's end, milliseconds. */
  readonly keepMs: number;
  readonly log: Log;
}

export class EventRetention {
  readonly #options: EventRetentionOptions;
  /** When a run ended whose events are gone, by run; a resumed run ends again later. */
  readonly #removed = new Map<string, string>();
  #living: Periodic | null = null;

  constructor(options: EventRetentionOptions) {
    this.#options = options;
  }

  start(): void {
    const waitMs = Math.max(1000, Math.min(this.#options.keepMs, LONGEST_WAIT_MS));
    this.#living = periodically(waitMs, (signal) => this.look(Date.now(), signal));
  }

  async stop(): Promise<void> {
    await this.#living?.stop();
  }

  /** Removes the streams that are due at `nowMs` (since 1970). Tries those that it cannot remove again the next time. */
  async look(nowMs: number, signal?: AbortSignal): Promise<void> {
    const { runs, mirror, keepMs, log } = this.#options;
    const isDue = (record: RunRecord) =>
      hasEnded(record) &&
      Date.parse(record.endedAt!) + keepMs <= nowMs &&
      this.#removed.get(record.id) !== record.endedAt;
    for (const { id, endedAt } of runs.list().filter(isDue)) {
      if (signal?.aborted === true) return;
      try {
        await mirror.remove(id);
        this.#removed.set(id, endedAt!);
      } catch (thrown) {
        return log.warn('events of a run that has ended stay on NATS for now', { run: id, error: thrown });
      }
    }
  }
}
