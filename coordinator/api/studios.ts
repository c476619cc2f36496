/**
 * Trainers for images on demand. Each has published a run's data and classifier, as after the run's last complete epoch;
 * it is kept for a while after its last user, and is removed when a run begins.
 */
import { openedBy } from '../epoch/preparation.ts';
import type { OpenResult__Output } from '../../gen/ballast/v1/OpenResult.ts';
import type { WeightsRef__Output } from '../../gen/ballast/v1/WeightsRef.ts';
import { whenAlive } from '../crew/crew.ts';
import { type SpawnedCrew, spawnCrew } from '../crew/crew-node.ts';
import { RunFolder } from '../records/run-folder.ts';
import type { ExecutionOptions } from '../runs/run-execution.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { precondition } from './errors.ts';
import { runName } from './resources.ts';

/** How long a trainer is kept after its last user. */
const KEEP_MS = 120_000;
const OPEN_DEADLINE_MS = 600_000;

/** The sources of a run's images. */
export interface Studio {
  readonly opened: OpenResult__Output;
  readonly weights: WeightsRef__Output;
  readonly crew: SpawnedCrew;
}

interface Kept {
  readonly epoch: number;
  readonly studio: Promise<Studio>;
  users: number;
  timer: NodeJS.Timeout | null;
}

export class Studios {
  readonly #options: ExecutionOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #stopping = new AbortController();

  constructor(options: ExecutionOptions) {
    this.#options = options;
  }

  /**
   * The run's studio as after its last complete epoch, opened where none is; `release` it after use.
   * @throws ApiError when no epoch is complete
   */
  async acquire(record: RunRecord): Promise<{ readonly studio: Promise<Studio>; release(): void }> {
    const epoch = await new RunFolder(this.#options.dirOf(record.id)).lastEpoch();
    if (epoch === 0)
      throw precondition('NO_EPOCH', runName(record.id), `${runName(record.id)} has no complete epoch yet`);
    const known = this.#kept.get(record.id);
    const kept = known?.epoch === epoch ? known : this.#open(record, epoch);
    clearTimeout(kept.timer ?? undefined);
    kept.timer = null;
    kept.users++;
    return { studio: kept.studio, release: () => this.#letGo(record.id, kept) };
  }

  /** Ends unused ones; resolves when their processes have ended. */
  async giveWay(): Promise<void> {
    const idle = [...this.#kept].filter(([, { users }]) => users === 0);
    for (const [run, { timer }] of idle) {
      clearTimeout(timer ?? undefined);
      this.#kept.delete(run);
    }
    await Promise.all(idle.map(([, kept]) => this.#close(kept)));
  }

  /** Ends all. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the coordinator is shutting down'));
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    for (const { timer } of kept) clearTimeout(timer ?? undefined);
    await Promise.allSettled(kept.map(async ({ studio }) => (await studio).crew.stop()));
  }

  #open(record: RunRecord, epoch: number): Kept {
    const kept: Kept = { epoch, studio: this.#studio(record, epoch), users: 0, timer: null };
    const before = this.#kept.get(record.id);
    this.#kept.set(record.id, kept);
    if (before !== undefined) void this.#close(before);
    kept.studio.catch(() => {
      if (this.#kept.get(record.id) === kept) this.#kept.delete(record.id);
    });
    return kept;
  }

  #letGo(run: string, kept: Kept): void {
    if (--kept.users > 0) return;
    if (this.#kept.get(run) !== kept) return void this.#close(kept);
    kept.timer = setTimeout(() => {
      this.#kept.delete(run);
      void this.#close(kept);
    }, KEEP_MS).unref();
  }

  /** Ends unused ones. Never rejects. */
  async #close({ studio, users }: Kept): Promise<void> {
    if (users > 0) return;
    try {
      await (await studio).crew.stop();
    } catch (thrown) {
      this.#options.log.warn('a trainer for on-demand images ended with an error', { error: thrown });
    }
  }

  async #studio(record: RunRecord, epoch: number): Promise<Studio> {
    const { runtime, trainerLabels, dirOf, log } = this.#options;
    const folder = new RunFolder(dirOf(record.id));
    const place = { prefix: `${record.id}-at-${epoch}-`, labels: trainerLabels };
    const noWorkers = { list: () => [], onJoined: () => () => undefined, share: null };
    const crew: SpawnedCrew = await spawnCrew(record.config, place, { ...runtime, log }, noWorkers);
    try {
      await whenAlive(crew.trainer, this.#stopping.signal);
      const options = { deadlineMs: OPEN_DEADLINE_MS, signal: this.#stopping.signal };
      const configJson = JSON.stringify({ ...record.config, out: folder.dir });
      const checkpointDir = await folder.checkpoints.trainerDir(epoch);
      const opened = await openedBy(crew.trainer.handle.open({ configJson, checkpointDir }, options));
      const { weights } = await crew.trainer.handle.publishWeights({}, options);
      if (!weights?.object) throw new Error('the trainer published no weights');
      return { opened, weights, crew };
    } catch (thrown) {
      await crew.stop();
      throw thrown;
    }
  }
}
