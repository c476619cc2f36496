/**
 * Which worker makes which shard: a state machine of plain values, with the clock as an argument. A shard goes
 * pending → assigned → made → committed; what a dead worker was given, or had made without the trainer holding it yet,
 * becomes pending again. No effects: the caller sends the assignments and reports what came of them.
 */

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
  readonly shards: readonly ShardRecord[];
  /** Incarnation of each living worker, by name. */
  readonly workers: Readonly<Record<string, number>>;
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
  return { options, shards: new Array<ShardRecord>(shardCount).fill(fresh), workers: {}, redone: 0 };
}

/**
 * The schedule after something happened. An answer to an assignment that no longer stands (its worker died, the shard
 * went elsewhere) changes nothing.
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
      return put(schedule, event.assignment.shard, {
        state: 'made',
        holder: event.assignment.holder,
        batch: event.batch,
      });
    case 'failed':
      if (!stands(schedule, event.assignment, 'assigned')) return schedule;
      return release(schedule, [event.assignment.shard], event.reason, retryTime(schedule, event, nowMs));
    case 'committed':
      if (!stands(schedule, event.assignment, 'made')) return schedule;
      return put(schedule, event.assignment.shard, { state: 'committed' });
    case 'commit-failed':
      if (!stands(schedule, event.assignment, 'made')) return schedule;
      return release(schedule, [event.assignment.shard], event.reason, retryTime(schedule, event, nowMs));
    default:
      return event satisfies never;
  }
}

/**
 * Gives pending shards, lowest index first, each to the living worker with the fewest unfinished shards (then by
 * name), while any has credit. Returns the schedule with them assigned and the orders to send.
 */
export function assign(schedule: Schedule, nowMs: number): { schedule: Schedule; assignments: Assignment[] } {
  const load = unfinishedByWorker(schedule);
  const shards = [...schedule.shards];
  const assignments: Assignment[] = [];
  for (const [index, record] of shards.entries()) {
    if (record.current.state !== 'pending' || record.current.notBeforeMs > nowMs) continue;
    const worker = leastLoaded(load, schedule.options.creditsPerWorker);
    if (worker === undefined) break;
    load.set(worker, load.get(worker)! + 1);
    const holder = { worker, incarnation: schedule.workers[worker]! };
    const attempt = record.attempts + 1;
    shards[index] = { ...record, attempts: attempt, current: { state: 'assigned', holder, sinceMs: nowMs } };
    assignments.push({ shard: index, holder, attempt });
  }
  return assignments.length > 0
    ? { schedule: { ...schedule, shards }, assignments }
    : { schedule, assignments };
}

/** Shards in each state. */
export function countByState(schedule: Schedule): Record<ShardState['state'], number> {
  const counts = { pending: 0, assigned: 0, made: 0, committed: 0 };
  for (const { current } of schedule.shards) counts[current.state]++;
  return counts;
}

/** Whether the trainer holds every shard. */
export function isComplete(schedule: Schedule): boolean {
  return schedule.shards.every(({ current }) => current.state === 'committed');
}

/** Why the epoch cannot be completed, or null: a shard that used up its attempts and waits again. */
export function hopeless(schedule: Schedule): string | null {
  const { maxAttempts } = schedule.options;
  const index = schedule.shards.findIndex(
    ({ current, attempts }) => current.state === 'pending' && attempts >= maxAttempts,
  );
  if (index < 0) return null;
  return `shard ${index} failed ${maxAttempts} times; the last time: ${schedule.shards[index]!.lastFailure}`;
}

/** When the next shard that waits for a retry may be assigned; null when none waits. */
export function nextRetryMs(schedule: Schedule, nowMs: number): number | null {
  const waiting = schedule.shards.flatMap(({ current }) =>
    current.state === 'pending' && current.notBeforeMs > nowMs ? [current.notBeforeMs] : [],
  );
  return waiting.length > 0 ? Math.min(...waiting) : null;
}

function workerAlive(schedule: Schedule, holder: Holder, nowMs: number): Schedule {
  const known = schedule.workers[holder.worker];
  if (known !== undefined && known >= holder.incarnation) return schedule;
  const settled =
    known === undefined
      ? schedule
      : workerDead(schedule, { ...holder, incarnation: known }, 'its worker was restarted', nowMs);
  return { ...settled, workers: { ...settled.workers, [holder.worker]: holder.incarnation } };
}

function workerDead(schedule: Schedule, holder: Holder, reason: string, nowMs: number): Schedule {
  const lost = schedule.shards.flatMap(({ current }, index) =>
    (current.state === 'assigned' || current.state === 'made') && sameHolder(current.holder, holder)
      ? [index]
      : [],
  );
  const workers = Object.fromEntries(Object.entries(schedule.workers).filter(([w]) => w !== holder.worker));
  return release({ ...schedule, workers }, lost, `worker ${holder.worker} died: ${reason}`, nowMs);
}

function release(
  schedule: Schedule,
  indices: readonly number[],
  reason: string,
  notBeforeMs: number,
): Schedule {
  if (indices.length === 0) return schedule;
  const shards = [...schedule.shards];
  for (const index of indices)
    shards[index] = { ...shards[index]!, current: { state: 'pending', notBeforeMs }, lastFailure: reason };
  return { ...schedule, shards, redone: schedule.redone + indices.length };
}

function put(schedule: Schedule, index: number, current: ShardState): Schedule {
  return { ...schedule, shards: schedule.shards.with(index, { ...schedule.shards[index]!, current }) };
}

/** Whether an answer still concerns its shard: same state, same holder, same attempt. */
function stands(schedule: Schedule, assignment: Assignment, state: 'assigned' | 'made'): boolean {
  const record = schedule.shards[assignment.shard];
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

/** Shards that each living worker is at work on; made ones no longer bind it. */
function unfinishedByWorker(schedule: Schedule): Map<string, number> {
  const load = new Map(Object.keys(schedule.workers).map((worker) => [worker, 0]));
  for (const { current } of schedule.shards)
    if (current.state === 'assigned')
      load.set(current.holder.worker, (load.get(current.holder.worker) ?? 0) + 1);
  return load;
}

function leastLoaded(load: ReadonlyMap<string, number>, credits: number): string | undefined {
  let best: string | undefined;
  for (const [worker, held] of load) {
    if (held >= credits) continue;
    const lead = best === undefined ? Infinity : load.get(best)!;
    if (held < lead || (held === lead && worker < best!)) best = worker;
  }
  return best;
}
