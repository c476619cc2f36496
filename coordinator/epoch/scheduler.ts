/**
 * Which worker makes which shard: a state machine of plain values, with the clock as an argument. A shard goes
 * pending → assigned → made → committed; what a dead worker was given, or had made without the trainer holding it yet,
 * becomes pending again. No effects: the caller sends the assignments and reports what came of them.
 *
 * The cost of an event does not grow with the number of shards: counts, pending shards and the workers' room are kept
 * with the shards, not looked for among them. Only a worker's death looks at every shard.
 */
import { PersistentList } from './persistent-list.ts';
import { addWorker, changeLoad, emptyRoom, leastLoaded, removeWorker } from './worker-room.ts';
import type { WorkerRoom } from './worker-room.ts';

/** Where made images lie, as the worker reported it; opaque here. */
export type BatchRef = unknown;

/** A worker's process: a restarted worker is another holder. */
export interface Holder {
  readonly worker: string;
  readonly incarnation: number;
}

export type ShardState =
  | { readonly state: 'pending'; readonly notBeforeMs: number }
  | { readonly state: 'assigned'; readonly holder: Holder; readonly sinceMs: number }
  | { readonly state: 'made'; readonly holder: Holder; readonly batch: BatchRef }
  | { readonly state: 'committed' };

export interface ShardRecord {
  readonly current: ShardState;
  /** Times that it was assigned. */
  readonly attempts: number;
  /** Why it was last made pending again; null for never. */
  readonly lastFailure: string | null;
}

export interface SchedulerOptions {
  /** Shards that one worker may hold unfinished. */
  readonly creditsPerWorker: number;
  /** Assignments of one shard before the run gives up. */
  readonly maxAttempts: number;
  /** Wait before a shard that failed by itself (not by its worker's death) is assigned again; doubles each time. */
  readonly retryDelayMs: number;
}

export const DEFAULT_SCHEDULER_OPTIONS: SchedulerOptions = {
  creditsPerWorker: 2,
  maxAttempts: 8,
  retryDelayMs: 100,
};

/** The shards of one epoch and the workers that live. */
export interface Schedule {
  readonly options: SchedulerOptions;
  readonly shards: PersistentList<ShardRecord>;
  readonly counts: Readonly<Record<ShardState['state'], number>>;
  /** The first shard that was never assigned; all after it were not either. */
  readonly firstFresh: number;
  /** Shards before it that are pending again, in order. */
  readonly returned: readonly number[];
  /** Incarnation of each living worker, by name. */
  readonly workers: Readonly<Record<string, number>>;
  /** The living workers that have credit left. */
  readonly room: WorkerRoom;
  /** Shards that had to be made again. */
  readonly redone: number;
}

/** An order to give: this shard to this worker. `attempt` (from 1) marks its answer. */
export interface Assignment {
  readonly shard: number;
  readonly holder: Holder;
  readonly attempt: number;
}

export type ScheduleEvent =
  | { readonly type: 'worker-alive'; readonly holder: Holder }
  | { readonly type: 'worker-dead'; readonly holder: Holder; readonly reason: string }
  | { readonly type: 'made'; readonly assignment: Assignment; readonly batch: BatchRef }
  | { readonly type: 'failed'; readonly assignment: Assignment; readonly reason: string }
  | { readonly type: 'committed'; readonly assignment: Assignment }
  | { readonly type: 'commit-failed'; readonly assignment: Assignment; readonly reason: string };

/** An epoch's schedule with every shard pending and no worker known. */
export function createSchedule(
  shardCount: number,
  options: SchedulerOptions = DEFAULT_SCHEDULER_OPTIONS,
): Schedule {
  const fresh: ShardRecord = {
    current: { state: 'pending', notBeforeMs: 0 },
    attempts: 0,
    lastFailure: null,
  };
  return {
    options,
    shards: PersistentList.filled(shardCount, fresh),
    counts: { pending: shardCount, assigned: 0, made: 0, committed: 0 },
    firstFresh: 0,
    returned: [],
    workers: {},
    room: emptyRoom(options.creditsPerWorker),
    redone: 0,
  };
}

/**
 * The schedule after an event. An answer to an outdated assignment (its worker died, the shard moved) changes nothing.
 */
export function advance(schedule: Schedule, event: ScheduleEvent, nowMs: number): Schedule {
  switch (event.type) {
    case 'worker-alive':
      return workerAlive(schedule, event.holder, nowMs);
    case 'worker-dead':
      if (schedule.workers[event.holder.worker] !== event.holder.incarnation) return schedule;
      return workerDead(schedule, event.holder, event.reason, nowMs);
    case 'made':
      if (!stands(schedule, event.assignment, 'assigned')) return schedule;
      return move(unburden(schedule, event.assignment.holder), event.assignment.shard, {
        state: 'made',
        holder: event.assignment.holder,
        batch: event.batch,
      });
    case 'failed':
      if (!stands(schedule, event.assignment, 'assigned')) return schedule;
      return release(
        unburden(schedule, event.assignment.holder),
        [event.assignment.shard],
        event.reason,
        retryTime(schedule, event, nowMs),
      );
    case 'committed':
      if (!stands(schedule, event.assignment, 'made')) return schedule;
      return move(schedule, event.assignment.shard, { state: 'committed' });
    case 'commit-failed':
      if (!stands(schedule, event.assignment, 'made')) return schedule;
      return release(schedule, [event.assignment.shard], event.reason, retryTime(schedule, event, nowMs));
    default:
      return event satisfies never;
  }
}

/** Chooses the worker for a shard; undefined when none can take one now. */
export type ChooseWorker = (schedule: Schedule, shard: number) => string | undefined;

/** The living worker with the fewest unfinished shards (then by name), while any has credit. */
const chooseLeastLoaded: ChooseWorker = ({ room }) => leastLoaded(room);

/**
 * Gives pending shards, lowest index first, each to the worker that `choose` names, which must live, while it names one.
 * Returns the schedule with them assigned and the orders to send.
 */
export function assign(
  schedule: Schedule,
  nowMs: number,
  choose: ChooseWorker = chooseLeastLoaded,
): { schedule: Schedule; assignments: Assignment[] } {
  let after = schedule;
  const assignments: Assignment[] = [];
  for (const shard of pendingNow(schedule, nowMs)) {
    const worker = choose(after, shard);
    if (worker === undefined) break;
    const holder = { worker, incarnation: schedule.workers[worker]! };
    after = give(after, shard, holder, nowMs);
    assignments.push({ shard, holder, attempt: after.shards.at(shard)!.attempts });
  }
  return { schedule: after, assignments };
}

/** Shards in each state. */
export function countByState(schedule: Schedule): Readonly<Record<ShardState['state'], number>> {
  return schedule.counts;
}

/** Shards that may be assigned now. */
export function countReady(schedule: Schedule, nowMs: number): number {
  const waiting = schedule.returned.filter((shard) => notBefore(schedule, shard) > nowMs);
  return schedule.counts.pending - waiting.length;
}

/** Whether the trainer holds every shard. */
export function isComplete(schedule: Schedule): boolean {
  return schedule.counts.committed === schedule.shards.length;
}

/** Why the epoch cannot be completed, or null: a shard that used up its attempts and waits again. */
export function hopeless(schedule: Schedule): string | null {
  const { maxAttempts } = schedule.options;
  const shard = schedule.returned.find((index) => schedule.shards.at(index)!.attempts >= maxAttempts);
  if (shard === undefined) return null;
  return `shard ${shard} failed ${maxAttempts} times; the last time: ${schedule.shards.at(shard)!.lastFailure}`;
}

/** When the next shard that waits for a retry may be assigned; null when none waits. */
export function nextRetryMs(schedule: Schedule, nowMs: number): number | null {
  let next = Infinity;
  for (const shard of schedule.returned) {
    const notBeforeMs = notBefore(schedule, shard);
    if (notBeforeMs > nowMs) next = Math.min(next, notBeforeMs);
  }
  return next === Infinity ? null : next;
}

/** Shards that may be assigned, lowest index first. */
function* pendingNow(schedule: Schedule, nowMs: number): Generator<number, void, undefined> {
  for (const shard of schedule.returned) if (notBefore(schedule, shard) <= nowMs) yield shard;
  for (let shard = schedule.firstFresh; shard < schedule.shards.length; shard++) yield shard;
}

function notBefore({ shards }: Schedule, shard: number): number {
  const { current } = shards.at(shard)!;
  return current.state === 'pending' ? current.notBeforeMs : Infinity;
}

function give(schedule: Schedule, shard: number, holder: Holder, nowMs: number): Schedule {
  const { firstFresh, returned } = schedule;
  const assigned = move(burden(schedule, holder), shard, { state: 'assigned', holder, sinceMs: nowMs }, 1);
  return shard === firstFresh
    ? { ...assigned, firstFresh: firstFresh + 1 }
    : { ...assigned, returned: returned.filter((index) => index !== shard) };
}

function workerAlive(schedule: Schedule, holder: Holder, nowMs: number): Schedule {
  const { worker, incarnation } = holder;
  const known = schedule.workers[worker];
  if (known !== undefined && known >= incarnation) return schedule;
  const settled =
    known === undefined
      ? schedule
      : workerDead(schedule, { worker, incarnation: known }, 'its worker was restarted', nowMs);
  const room = addWorker(settled.room, worker);
  return { ...settled, workers: { ...settled.workers, [worker]: incarnation }, room };
}

function workerDead(schedule: Schedule, holder: Holder, reason: string, nowMs: number): Schedule {
  const lost: number[] = [];
  let index = 0;
  for (const { current } of schedule.shards) {
    const isHeld = current.state === 'assigned' || current.state === 'made';
    if (isHeld && sameHolder(current.holder, holder)) lost.push(index);
    index++;
  }
  const workers = Object.fromEntries(Object.entries(schedule.workers).filter(([w]) => w !== holder.worker));
  const room = removeWorker(schedule.room, holder.worker);
  return release({ ...schedule, workers, room }, lost, `worker ${holder.worker} died: ${reason}`, nowMs);
}

/** Makes shards pending again. */
function release(
  schedule: Schedule,
  indices: readonly number[],
  lastFailure: string,
  notBeforeMs: number,
): Schedule {
  if (indices.length === 0) return schedule;
  let after = schedule;
  for (const index of indices) {
    after = move(after, index, { state: 'pending', notBeforeMs });
    after = { ...after, shards: after.shards.with(index, { ...after.shards.at(index)!, lastFailure }) };
  }
  const returned = [...schedule.returned, ...indices].sort((a, b) => a - b);
  return { ...after, returned, redone: schedule.redone + indices.length };
}

/** A shard in another state, with additional attempts. */
function move(schedule: Schedule, index: number, current: ShardState, attempts = 0): Schedule {
  const before = schedule.shards.at(index)!;
  const counts = { ...schedule.counts };
  counts[before.current.state]--;
  counts[current.state]++;
  const record = { ...before, current, attempts: before.attempts + attempts };
  return { ...schedule, counts, shards: schedule.shards.with(index, record) };
}

/** Whether an answer still concerns its shard: same state, same holder, same attempt. */
function stands(schedule: Schedule, assignment: Assignment, state: 'assigned' | 'made'): boolean {
  const record = schedule.shards.at(assignment.shard);
  return (
    record !== undefined &&
    record.current.state === state &&
    record.attempts === assignment.attempt &&
    sameHolder(record.current.holder, assignment.holder)
  );
}

function sameHolder(a: Holder, b: Holder): boolean {
  return a.worker === b.worker && a.incarnation === b.incarnation;
}

function retryTime(schedule: Schedule, event: { readonly assignment: Assignment }, nowMs: number): number {
  return nowMs + schedule.options.retryDelayMs * 2 ** (event.assignment.attempt - 1);
}

/** A worker got a shard. */
function burden(schedule: Schedule, { worker }: Holder): Schedule {
  return { ...schedule, room: changeLoad(schedule.room, worker, 1) };
}

/** A worker is done with a shard: a made one no longer binds it. */
function unburden(schedule: Schedule, { worker }: Holder): Schedule {
  return { ...schedule, room: changeLoad(schedule.room, worker, -1) };
}
