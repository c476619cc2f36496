/**
 * Each run's stored events (`events.jsonl`), opened once for all concurrent writers and readers, and closed after the
 * last; and its progress, which goes to listeners and is not stored.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CallError } from '../../actors/base/call-errors.ts';
import type { EventBus } from '../../actors/control/event-bus.ts';
import { openEventLog } from '../../actors/control/event-log.ts';
import type { RunEvent } from '../../report/records.ts';

interface Open {
  readonly bus: Promise<EventBus>;
  users: number;
}

export class Journals {
  readonly #dirOf: (run: string) => string;
  readonly #onTell: (run: string, event: RunEvent) => void;
  readonly #open = new Map<string, Open>();
  readonly #listeners = new Map<string, Set<(event: RunEvent) => void>>();
  /** Closings under way, by run. */
  readonly #closing = new Map<string, Promise<void>>();

  /** `onTell` receives those of all runs. */
  constructor(
    dirOf: (run: string) => string,
    onTell: (run: string, event: RunEvent) => void = () => undefined,
  ) {
    this.#dirOf = dirOf;
    this.#onTell = onTell;
  }

  /** Does something with a run's stored events. */
  async use<Result>(run: string, work: (bus: EventBus) => Promise<Result>): Promise<Result> {
    const open = await this.#acquire(run);
    try {
      return await work(await open.bus);
    } finally {
      await this.#release(run, open);
    }
  }

  /** Tells those who listen to the run. */
  tell(run: string, event: RunEvent): void {
    this.#onTell(run, event);
    for (const listener of [...(this.#listeners.get(run) ?? [])]) listener(event);
  }

  listen(run: string, listener: (event: RunEvent) => void): () => void {
    const listeners = this.#listeners.get(run) ?? new Set();
    this.#listeners.set(run, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(run) === listeners) this.#listeners.delete(run);
    };
  }

  async #acquire(run: string): Promise<Open> {
    for (let closing; (closing = this.#closing.get(run)) !== undefined; ) await closing;
    const known = this.#open.get(run);
    // The log would make the folder of a run that was deleted.
    if (known === undefined && !existsSync(this.#dirOf(run)))
      throw new CallError('NOT_FOUND', `the run ${run} was deleted`);
    const open = known ?? {
      bus: openEventLog({ path: join(this.#dirOf(run), 'events.jsonl') }),
      users: 0,
    };
    open.users++;
    this.#open.set(run, open);
    return open;
  }

  async #release(run: string, open: Open): Promise<void> {
    if (--open.users > 0) return;
    this.#open.delete(run);
    const closing = open.bus.then(
      (bus) => bus.close(),
      () => undefined,
    );
    this.#closing.set(run, closing);
    await closing;
    this.#closing.delete(run);
  }
}
