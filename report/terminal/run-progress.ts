/** The state of a live view: what a run's events add up to. Pure; times are milliseconds of the caller's clock. */

import type { EpochRecord, RunEvent, RunReport } from '../records.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { readonly type: T }>;

export interface RunProgress {
  /** Work in progress before training; null when there is none. */
  readonly preparation: EventOf<'preparation'> | null;
  readonly started: EventOf<'started'> | null;
  readonly startedAtMs: number;
  /** The epoch at work, from 1. */
  readonly epoch: number;
  readonly epochStartedAtMs: number;
  /** Durations of the epochs finished here. */
  readonly epochMs: readonly number[];
  readonly quota: EventOf<'quota'> | null;
  readonly synthesis: EventOf<'synthesis'> | null;
  readonly training: EventOf<'training'> | null;
  readonly record: EpochRecord | null;
  readonly trouble: EventOf<'actor'> | null;
  readonly end:
    { readonly type: 'finished'; readonly report: RunReport } | { readonly type: 'cancelled' } | null;
}

export function noProgress(nowMs: number): RunProgress {
  return {
    preparation: null,
    started: null,
    startedAtMs: nowMs,
    epoch: 1,
    epochStartedAtMs: nowMs,
    epochMs: [],
    quota: null,
    synthesis: null,
    training: null,
    record: null,
    trouble: null,
    end: null,
  };
}

/** States of actors that need no report. */
const CALM = new Set([
  'pending',
  'starting',
  'started',
  'alive',
  'ready',
  'running',
  'idle',
  'busy',
  'stopping',
  'stopped',
  'finished',
]);

/** Whether an actor's state is worth a line: dead, restarting, infeasible, and whatever is not known to be calm. */
export function isTrouble(event: EventOf<'actor'>): boolean {
  return !CALM.has(event.state.toLowerCase());
}

/** The first event of an epoch ends what was shown of the one before. */
function atEpoch(progress: RunProgress, epoch: number): RunProgress {
  if (epoch === progress.epoch) return progress;
  return { ...progress, epoch, synthesis: null, training: null };
}

/** The progress after `event`, seen at `nowMs`. */
export function advance(progress: RunProgress, event: RunEvent, nowMs: number): RunProgress {
  switch (event.type) {
    case 'data':
      return progress;
    case 'preparation':
      return { ...progress, preparation: event };
    case 'started':
      return { ...noProgress(nowMs), started: event, epoch: event.firstEpoch };
    case 'quota':
      return { ...atEpoch(progress, event.epoch), quota: event };
    case 'synthesis':
      return { ...atEpoch(progress, event.epoch), synthesis: event };
    case 'training':
      return { ...atEpoch(progress, event.epoch), training: event, preparation: null };
    case 'epoch':
      return {
        ...atEpoch(progress, event.record.epoch),
        record: event.record,
        epochMs: [...progress.epochMs, nowMs - progress.epochStartedAtMs],
        epochStartedAtMs: nowMs,
      };
    case 'actor':
      return isTrouble(event) ? { ...progress, trouble: event } : progress;
    case 'finished':
      return { ...progress, end: { type: 'finished', report: event.report } };
    case 'cancelled':
      return { ...progress, end: { type: 'cancelled' } };
    default:
      return event satisfies never;
  }
}

/** Epochs that are done. */
export function epochsDone(progress: RunProgress): number {
  if (progress.record !== null) return progress.record.epoch;
  return (progress.started?.firstEpoch ?? 1) - 1;
}

/** Seconds until the end by the mean of the last five epochs; null before one is finished, and after the end. */
export function secondsLeft(progress: RunProgress, nowMs: number): number | null {
  const recent = progress.epochMs.slice(-5);
  if (recent.length === 0 || progress.started === null || progress.end !== null) return null;
  const mean = recent.reduce((sum, ms) => sum + ms, 0) / recent.length;
  const remaining = progress.started.epochs - epochsDone(progress);
  if (remaining <= 0) return 0;
  const current = Math.max(0, mean - (nowMs - progress.epochStartedAtMs));
  return (current + mean * (remaining - 1)) / 1000;
}
