/**
 * Executes an epoch's synthesis: the effects around scheduler.ts. It sends assignments to the workers, passes finished
 * shards to the trainer as they arrive, follows the workers' states, and ends when the trainer holds every shard.
 */
import { setMaxListeners } from 'node:events';
import { onAbort } from '../../common/abort.ts';
import { toError, UserError } from '../../common/errors.ts';
import type { ImageItem } from '../../gen/ballast/v1/ImageItem.ts';
import type { ObjectRef__Output } from '../../gen/ballast/v1/ObjectRef.ts';
import type { SynthesizeShardRequest } from '../../gen/ballast/v1/SynthesizeShardRequest.ts';
import type { SynthesizeShardResponse__Output } from '../../gen/ballast/v1/SynthesizeShardResponse.ts';
import type { ActorLink, Crew, LinkStatus, WorkerHandle, WorkerShare } from '../crew/crew.ts';
import { type ActorEngine, unequalEngines } from '../../report/engines.ts';
import type { RunEvents } from '../records/run-events.ts';
import type { RunMetrics } from './run-metrics.ts';
import {
  advance,
  assign,
  type ChooseWorker,
  countReady,
  createSchedule,
  hopeless,
  isComplete,
  nextRetryMs,
  type Assignment,
  type Schedule,
  type ScheduleEvent,
} from './scheduler.ts';
import type { Shard } from './sharding.ts';

/** Longest time that one call may take; dead processes are noticed long before. */
export const CALL_DEADLINE_MS = 24 * 3_600_000;

export interface SynthesisJob {
  readonly epoch: number;
  readonly shards: readonly Shard[];
  /** The common part of every shard's request. */
  readonly request: Omit<SynthesizeShardRequest, 'items' | 'shardIndex' | 'epoch'>;
}

/** The makers of shards and their receiver. */
export interface ShardCrew extends Pick<Crew, 'workers' | 'release'> {
  /** Takes a shard over; when it resolves, its worker may forget the batch. */
  keep(
    shard: { readonly epoch: number; readonly shardIndex: number; readonly batch: ObjectRef__Output },
    signal: AbortSignal,
  ): Promise<unknown>;
}

export interface SynthesisTools {
  readonly crew: ShardCrew;
  readonly events: RunEvents;
  readonly metrics: RunMetrics;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

export interface SynthesisOutcome {
  readonly images: number;
  readonly shardsRedone: number;
  readonly seconds: number;
  /** Engines and devices of the workers; a worker appears twice if it came back on another device. */
  readonly engines: readonly ActorEngine[];
}

/**
 * Resolves when `keep` has taken every shard. Rejects with the signal's reason, with a worker's or the trainer's
 * UserError, when a shard failed too often, or when no worker is left.
 */
export async function synthesizeEpoch(job: SynthesisJob, tools: SynthesisTools): Promise<SynthesisOutcome> {
  return new EpochSynthesis(job, tools).run();
}

class EpochSynthesis {
  readonly #job: SynthesisJob;
  readonly #tools: SynthesisTools;
  readonly #startMs: number;
  readonly #workers = new Map<string, ActorLink<WorkerHandle>>();
  readonly #totalImages: number;
  readonly #calls = new Set<Promise<void>>();
  readonly #stopCalls = new AbortController();
  #schedule: Schedule;
  #imagesDone = 0;
  /** Of every shard that was made. */
  readonly #engines: ActorEngine[] = [];
  #fatal: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(job: SynthesisJob, tools: SynthesisTools) {
    this.#job = job;
    this.#tools = tools;
    this.#startMs = tools.clock();
    this.#totalImages = job.shards.reduce((sum, shard) => sum + shard.items.length, 0);
    this.#schedule = createSchedule(job.shards.length);
    setMaxListeners(0, this.#stopCalls.signal); // as many as there are calls under way
  }

  async run(): Promise<SynthesisOutcome> {
    const { crew, signal, clock } = this.#tools;
    const { workers } = crew;
    const stops: (() => void)[] = [];
    const follow = (worker: ActorLink<WorkerHandle>) => {
      this.#workers.set(worker.name, worker);
      stops.push(worker.onStatus((status) => this.#onWorker(worker, status)));
      this.#onWorker(worker, worker.status());
    };
    stops.push(onAbort(signal, () => this.#fail(toError(signal.reason))));
    try {
      signal.throwIfAborted();
      stops.push(workers.onJoined(follow));
      if (workers.share) stops.push(workers.share.onRoom(() => this.#wake()));
      for (const worker of workers.list()) follow(worker);
      while (!isComplete(this.#schedule)) {
        this.#dispatch();
        this.#throwIfHopeless();
        await this.#change();
      }
    } finally {
      for (const stop of stops) stop();
      this.#stopCalls.abort(new Error('the epoch is over'));
      await Promise.all(this.#calls);
      this.#releaseUncommitted();
      this.#tools.metrics.synthesisEnded();
    }
    const seconds = (clock() - this.#startMs) / 1000;
    const { redone } = this.#schedule;
    return {
      images: this.#imagesDone,
      shardsRedone: redone,
      seconds,
      engines: unequalEngines(this.#engines),
    };
  }

  #dispatch(): void {
    const nowMs = this.#tools.clock();
    const { share } = this.#tools.crew.workers;
    share?.want(countReady(this.#schedule, nowMs));
    const choose = share ? this.#chooser(share) : undefined;
    const { schedule, assignments } = assign(this.#schedule, nowMs, choose);
    this.#schedule = schedule;
    this.#showSchedule();
    for (const assignment of assignments) {
      const call = this.#make(assignment).catch((thrown: unknown) => this.#fail(toError(thrown)));
      this.#calls.add(call);
      void call.then(() => this.#calls.delete(call));
    }
  }

  /** Takes shared workers, as far as this schedule knows them to live. */
  #chooser(share: WorkerShare): ChooseWorker {
    return ({ workers }, shard) => {
      const worker = share.take(this.#job.shards[shard]!.items.length);
      if (worker === undefined || workers[worker] !== undefined) return worker;
      share.made(worker);
      share.settled(worker);
      return undefined;
    };
  }

  async #make(assignment: Assignment): Promise<void> {
    const { worker } = assignment.holder;
    const { share } = this.#tools.crew.workers;
    const shard = this.#job.shards[assignment.shard]!;
    try {
      let made;
      try {
        made = await this.#order(worker, shard);
      } catch (thrown) {
        return this.#failed(assignment, 'failed', thrown);
      } finally {
        share?.made(worker);
      }
      await this.#takeOver(assignment, shard, made);
    } finally {
      share?.settled(worker);
    }
  }

  #order(name: string, shard: Shard): Promise<SynthesizeShardResponse__Output> {
    const { epoch, request } = this.#job;
    const worker = this.#workers.get(name)!;
    return worker.handle.synthesizeShard(
      { ...request, epoch, shardIndex: shard.index, items: shard.items as ImageItem[] },
      { deadlineMs: CALL_DEADLINE_MS, signal: this.#stopCalls.signal },
    );
  }

  async #takeOver(
    assignment: Assignment,
    shard: Shard,
    { batch, seconds, engine, deviceChoice }: SynthesizeShardResponse__Output,
  ): Promise<void> {
    const { crew, metrics, events } = this.#tools;
    const { epoch } = this.#job;
    if (!batch) {
      const { worker } = assignment.holder;
      throw new Error(`worker ${worker} answered shard ${shard.index} without a batch`);
    }
    if (!this.#advance({ type: 'made', assignment, batch })) return crew.release(batch);
    this.#engines.push({ actor: assignment.holder.worker, engine, choice: deviceChoice });
    metrics.shardMade(shard.items.length, seconds);
    events.publish({
      topic: 'shard.made',
      payload: { ...fact(epoch, assignment), images: shard.items.length, seconds },
    });
    await this.#commit(assignment, shard, batch);
  }

  async #commit(assignment: Assignment, shard: Shard, batch: ObjectRef__Output): Promise<void> {
    const { crew, metrics } = this.#tools;
    try {
      await crew.keep({ epoch: this.#job.epoch, shardIndex: shard.index, batch }, this.#stopCalls.signal);
    } catch (thrown) {
      return this.#failed(assignment, 'commit-failed', thrown);
    }
    crew.release(batch);
    if (!this.#advance({ type: 'committed', assignment })) return;
    this.#imagesDone += shard.items.length;
    metrics.shardCommitted(shard.items.length);
    this.#showProgress();
  }

  /** A user's mistake ends the epoch at once: trying again cannot help. */
  #failed(assignment: Assignment, type: 'failed' | 'commit-failed', thrown: unknown): void {
    if (thrown instanceof UserError) throw thrown;
    if (this.#stopCalls.signal.aborted) return;
    this.#advance({ type, assignment, reason: toError(thrown).message });
  }

  #onWorker(worker: ActorLink<WorkerHandle>, status: LinkStatus): void {
    const holder = { worker: worker.name, incarnation: status.incarnation };
    if (status.state === 'alive') this.#advance({ type: 'worker-alive', holder });
    else {
      const known = this.#schedule.workers[worker.name];
      if (known !== undefined)
        this.#advance({
          type: 'worker-dead',
          holder: { ...holder, incarnation: known },
          reason: status.reason,
        });
    }
    this.#wake();
  }

  /** Whether the event changed anything; reports every shard that it made pending again. */
  #advance(event: ScheduleEvent): boolean {
    const { clock, metrics } = this.#tools;
    const before = this.#schedule;
    this.#schedule = advance(before, event, clock());
    if (this.#schedule === before) return false;
    this.#showSchedule();
    metrics.shardsRedone(this.#schedule.redone - before.redone);
    this.#tellRedone(before);
    this.#wake();
    return true;
  }

  #tellRedone(before: Schedule): void {
    if (this.#schedule.redone === before.redone) return;
    for (const shard of this.#schedule.returned) {
      const { current, attempts } = before.shards.at(shard)!;
      if (current.state !== 'assigned' && current.state !== 'made') continue;
      this.#tools.events.publish({
        topic: 'shard.redone',
        payload: {
          epoch: this.#job.epoch,
          shard,
          worker: current.holder.worker,
          attempt: attempts,
          reason: this.#schedule.shards.at(shard)!.lastFailure ?? '',
        },
      });
    }
  }

  #showSchedule(): void {
    this.#tools.metrics.scheduleChanged(this.#schedule, this.#totalImages - this.#imagesDone);
  }

  #showProgress(): void {
    const seconds = (this.#tools.clock() - this.#startMs) / 1000;
    this.#tools.events.emit({
      type: 'synthesis',
      epoch: this.#job.epoch,
      done: this.#imagesDone,
      total: this.#totalImages,
      imagesPerSecond: seconds > 0 ? this.#imagesDone / seconds : 0,
    });
  }

  #throwIfHopeless(): void {
    const reason = hopeless(this.#schedule);
    if (reason) throw new Error(`Epoch ${this.#job.epoch}: ${reason}`);
    const { workers } = this.#tools.crew;
    if (workers.share !== null) return; // others may join
    const own = workers.list();
    if (own.some((worker) => worker.status().state !== 'dead')) return;
    const statuses = own.map((worker) => ({ name: worker.name, ...worker.status() }));
    const mistake = statuses.find((status) => status.mistake)?.mistake;
    if (mistake) throw new UserError(mistake);
    const reasons = statuses.map(({ name, reason: why }) => `${name}: ${why}`).join('; ');
    throw new Error(`Epoch ${this.#job.epoch}: no diffusion worker is left (${reasons})`);
  }

  /** After a failed epoch: frees images on workers that nobody will pull. */
  #releaseUncommitted(): void {
    for (const { current } of this.#schedule.shards)
      if (current.state === 'made') this.#tools.crew.release(current.batch as ObjectRef__Output);
  }

  #fail(error: Error): void {
    this.#fatal ??= error;
    this.#wake();
  }

  /** Resolves at the next change, or when a shard may be tried again; rejects when the epoch has failed. */
  async #change(): Promise<void> {
    const nowMs = this.#tools.clock();
    const retryMs = nextRetryMs(this.#schedule, nowMs);
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (retryMs !== null) timer = setTimeout(resolve, retryMs - nowMs);
      if (this.#fatal || isComplete(this.#schedule)) resolve();
    });
    clearTimeout(timer);
    if (this.#fatal) throw this.#fatal;
  }
}

function fact(epoch: number, { shard, holder, attempt }: Assignment) {
  return { epoch, shard, worker: holder.worker, attempt };
}
