/**
 * Takes the events of runs that ended some time ago away from NATS: they are in the runs' folders. Looks now and then, so
 * that it needs to remember nothing: a coordinator that starts asks once for every run that ended before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../common/log.ts';
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
  /** When a run ended whose events are gone, by run: one that is resumed ends anew. */
  readonly #removed = new Map<string, string>();
  readonly #stopping = new AbortController();
  #living: Promise<void> = Promise.resolve();

  constructor(options: EventRetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#living = this.#live();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#living;
  }

  /** Removes what is due at `nowMs` (since 1970). What cannot be removed is tried again the next time. */
  async look(nowMs: number): Promise<void> {
    const { runs, mirror, keepMs, log } = this.#options;
    const isDue = (record: RunRecord) =>
      hasEnded(record) &&
      Date.parse(record.endedAt!) + keepMs <= nowMs &&
      this.#removed.get(record.id) !== record.endedAt;
    for (const { id, endedAt } of runs.list().filter(isDue)) {
      if (this.#stopping.signal.aborted) return;
      try {
        await mirror.remove(id);
        this.#removed.set(id, endedAt!);
      } catch (thrown) {
        return log.warn('events of a run that has ended stay on NATS for now', { run: id, error: thrown });
      }
    }
  }

  async #live(): Promise<void> {
    const { signal } = this.#stopping;
    const waitMs = Math.max(1000, Math.min(this.#options.keepMs, LONGEST_WAIT_MS));
    while (!signal.aborted) {
      await this.look(Date.now());
      await sleep(waitMs, null, { signal }).catch(() => undefined);
    }
  }
}
