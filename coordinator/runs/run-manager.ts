/**
 * The runs of a coordinator: it accepts them, executes a limited number at once, oldest first, and keeps their records.
 * After a restart, for whatever reason, it continues the runs that were in progress.
 */
import { toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { RunOutcome } from '../epoch/run-loop.ts';
import { Replaced } from '../records/checkpoints.ts';
import type { Journals } from './journals.ts';
import { hasEnded, type RunRecord, type RunState } from './run-record.ts';
import type { RunStore } from './run-store.ts';

export interface RunManagerOptions {
  readonly store: RunStore;
  readonly journals: Journals;
  /** Runs at once. */
  readonly maxRuns: number;
  /** Does a run to its end, or until the signal is aborted. */
  readonly execute: (record: RunRecord, signal: AbortSignal) => Promise<RunOutcome>;
  /** Called with every change; `before` is null for a new run. */
  readonly onChange?: (record: RunRecord, before: RunRecord | null) => void;
  /** Called with a deleted run, so that others delete what they keep of it. Never rejects. */
  readonly onDeleted?: (record: RunRecord) => Promise<void>;
  readonly log: Log;
}

interface Active {
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

class Cancelled extends Error {}

export class RunManager {
  readonly #options: RunManagerOptions;
  readonly #records = new Map<string, RunRecord>();
  readonly #active = new Map<string, Active>();
  /** The last of what is being done to each run's files. */
  readonly #turns = new Map<string, Promise<void>>();
  /** One after another, so that two equal requests at once make one run. */
  #creating: Promise<unknown> = Promise.resolve();
  #isStopping = false;

  constructor(options: RunManagerOptions) {
    this.#options = options;
  }

  /** Reads the existing runs, and continues those that have not ended. */
  async start(): Promise<void> {
    const { store, log, onChange } = this.#options;
    for (const record of await store.readAll(log)) {
      this.#records.set(record.id, record);
      onChange?.(record, null);
    }
    for (const record of this.list().reverse())
      if (record.state === 'running')
        await this.#change(record.id, 'queued', 'continues where the coordinator was stopped');
    this.#fill();
  }

  /** Stops active runs, which continue at the next start. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const active = [...this.#active.values()];
    for (const { controller } of active) controller.abort(new Error('the coordinator is shutting down'));
    await Promise.all(active.map(({ done }) => done));
    await Promise.all(this.#turns.values());
  }

  get(id: string): RunRecord | undefined {
    return this.#records.get(id);
  }

  /** The youngest first. */
  list(): RunRecord[] {
    const isYounger = (a: RunRecord, b: RunRecord) =>
      a.createdAt === b.createdAt ? a.id < b.id : a.createdAt > b.createdAt;
    return [...this.#records.values()].sort((a, b) => (isYounger(a, b) ? -1 : 1));
  }

  /** Accepts a run, or finds the one that the same request made. Resolves to null when its id is taken. */
  create(record: RunRecord): Promise<RunRecord | null> {
    const created = this.#creating.then(() => this.#create(record));
    this.#creating = created.catch(() => undefined);
    return created;
  }

  async #create(record: RunRecord): Promise<RunRecord | null> {
    const { store, onChange } = this.#options;
    const { id, request } = record;
    const same = request && [...this.#records.values()].find((other) => other.request?.id === request.id);
    if (same) return same;
    if (this.#records.has(id) || !(await store.create(record))) return null;
    this.#records.set(id, record);
    onChange?.(record, null);
    await this.#inTurn(id, () => this.#publishState(record));
    this.#fill();
    return this.#known(id);
  }

  /** Stops a run; resolves when it has stopped. One that has ended stays as it is. */
  async cancel(id: string): Promise<RunRecord> {
    const active = this.#active.get(id);
    if (active !== undefined) {
      active.controller.abort(new Cancelled('cancelled'));
      await active.done;
    } else if (!hasEnded(this.#known(id))) await this.#change(id, 'cancelled', 'cancelled while it waited');
    return this.#known(id);
  }

  /** Queues a run again that was cancelled, or failed. `requestId` names the wish, '' where it has no name. */
  async resume(id: string, requestId = ''): Promise<RunRecord> {
    const { state, resumeRequestId } = this.#known(id);
    const isRepeated = requestId !== '' && requestId === resumeRequestId;
    if (!isRepeated && (state === 'cancelled' || state === 'failed')) {
      const more = requestId === '' ? {} : { resumeRequestId: requestId };
      await this.#change(id, 'queued', 'resumed; waits for its turn', more);
      this.#fill();
    }
    return this.#known(id);
  }

  /** Deletes a run with its folder. Resolves to false, without changes, if it has not ended. */
  async delete(id: string): Promise<boolean> {
    if (!hasEnded(this.#known(id))) return false;
    await this.#active.get(id)?.done; // it has ended, and is still publishing its end
    const record = this.#records.get(id);
    if (record === undefined) return true;
    if (!hasEnded(record)) return false;
    this.#records.delete(id); // from now on it can no longer be found or resumed
    try {
      await this.#inTurn(id, () => this.#options.store.delete(id));
    } catch (thrown) {
      this.#records.set(id, record);
      throw thrown;
    }
    await this.#options.onDeleted?.(record);
    return true;
  }

  /** Deletes the folder of a run whose record could not be read. Resolves to false if there is none. */
  deleteUnreadable(id: string): Promise<boolean> {
    const deleted = this.#creating.then(() => !this.#records.has(id) && this.#options.store.deleteUnreadable(id));
    this.#creating = deleted.catch(() => undefined);
    return deleted;
  }

  /** Resolves when a run's present state is in its record and among its events. */
  async settled(id: string): Promise<void> {
    await this.#turns.get(id)?.catch(() => undefined);
  }

  #known(id: string): RunRecord {
    return this.#records.get(id)!;
  }

  /** Starts as many of the waiting runs as allowed. */
  #fill(): void {
    if (this.#isStopping) return;
    const waiting = this.list()
      .reverse()
      .filter(({ id, state }) => state === 'queued' && !this.#active.has(id));
    for (const { id } of waiting) {
      if (this.#active.size >= this.#options.maxRuns) return;
      const controller = new AbortController();
      const done = this.#do(id, controller.signal).finally(() => {
        this.#active.delete(id);
        this.#fill();
      });
      this.#active.set(id, { controller, done });
    }
  }

  /** Never rejects. */
  async #do(id: string, signal: AbortSignal): Promise<void> {
    const { execute, log } = this.#options;
    try {
      await this.#change(id, 'running', 'in progress');
      signal.throwIfAborted();
      const outcome = await execute(this.#known(id), signal);
      if (outcome.status === 'finished') await this.#change(id, 'succeeded', 'finished');
      else await this.#stopped(id, signal, `after epoch ${outcome.epoch}`);
    } catch (thrown) {
      if (signal.aborted) return this.#stopped(id, signal, 'before it began');
      const { message } = toError(thrown);
      // The run and its record are the other coordinator's now.
      if (thrown instanceof Replaced) return log.error('a run was left', { run: id, error: message });
      log.error('a run failed', { run: id, error: thrown instanceof UserError ? message : thrown });
      await this.#change(id, 'failed', message).catch((cause: unknown) => {
        log.error('the end of a run was not stored', { run: id, error: cause });
      });
    }
  }

  async #stopped(id: string, { reason }: AbortSignal, when: string): Promise<void> {
    if (reason instanceof Cancelled) await this.#change(id, 'cancelled', `cancelled ${when}`);
  }

  async #change(id: string, state: RunState, reason: string, more: Partial<RunRecord> = {}): Promise<void> {
    const before = this.#known(id);
    const now = new Date().toISOString();
    const record: RunRecord = {
      ...before,
      ...more,
      state,
      reason,
      startedAt: state === 'running' ? now : before.startedAt,
      endedAt: state === 'queued' || state === 'running' ? null : now,
    };
    this.#records.set(id, record);
    await this.#inTurn(id, async () => {
      await this.#options.store.write(record);
      this.#options.onChange?.(record, before);
      await this.#publishState(record);
    });
  }

  /** Does what concerns a run's files after all that was begun before. */
  async #inTurn(id: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).catch(() => undefined).then(work);
    this.#turns.set(id, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  /** Never rejects: the record is decisive, the event only announces it. */
  async #publishState({ id, state, reason }: RunRecord): Promise<void> {
    try {
      await this.#options.journals.use(id, (bus) => bus.publish(`state.${state}`, { state, reason }));
    } catch (thrown) {
      this.#options.log.warn("a run's new state could not be published", { run: id, state, error: thrown });
    }
  }
}
