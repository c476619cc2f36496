/** The events of a run as a stream of the public API: stored ones from any point on, and progress. */
import { AsyncQueue } from '../../actors/base/async-queue.ts';
import type { BusEvent } from '../../actors/control/event-bus.ts';
import type { RunEvent as RunEventMessage } from '../../gen/ballast/v1/RunEvent.ts';
import type { EpochRecord, RunEvent } from '../../report/records.ts';
import type { Journals } from '../runs/journals.ts';
import { hasEnded, type RunRecord, type RunState } from '../runs/run-record.ts';
import { STATE_NAMES, toEpoch } from './resources.ts';
import { toTimestamp } from './struct.ts';

export interface WatchOptions {
  readonly journals: Journals;
  /** The run as it is now. */
  readonly current: () => RunRecord;
  /** Resolves when the run's present state is among its events. */
  readonly settled: () => Promise<void>;
  /** First sequence to send; 0 for what is still to come. */
  readonly fromSequence: number;
  readonly includeProgress: boolean;
  readonly signal: AbortSignal;
}

/** Ends after the event by which the run ended, or at once when there is nothing to come. */
export async function* watchRun(options: WatchOptions): AsyncGenerator<RunEventMessage> {
  const { journals, current, settled, signal } = options;
  const { id } = current();
  const queue = new AsyncQueue<RunEventMessage>();
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const unlisten = options.includeProgress
    ? journals.listen(id, (event) => {
        const message = toProgress(event);
        if (message) queue.push(message);
      })
    : () => undefined;
  const following = journals
    .use(id, async (bus) => {
      // A run that has ended gets no more events, whether or not its end is among them.
      const isOver = hasEnded(current());
      if (isOver) await settled();
      const last = await bus.lastSequence();
      const from = options.fromSequence === 0 ? last + 1 : options.fromSequence;
      if (isOver && from > last) return;
      for await (const event of bus.subscribe('>', { fromSequence: from }, both)) {
        const message = toStored(id, event);
        if (message) queue.push(message);
        if (isOver && event.sequence >= last) return;
        const isLast = hasEnded(current()) && (await bus.lastSequence()) === event.sequence;
        if (event.topic.startsWith('state.') && isLast) return;
      }
    })
    .finally(() => queue.close());
  following.catch(() => undefined); // heard below, after the events
  try {
    yield* queue.iterate(both);
    await following;
  } finally {
    unlisten();
    stop.abort();
    await following.catch(() => undefined);
  }
}

/** A stored event; null for those that concern the cluster's insides alone. */
function toStored(run: string, { sequence, time, topic, payload }: BusEvent): RunEventMessage | null {
  const stored = { sequence, time: toTimestamp(time) };
  const event = payload as unknown as RunEvent;
  if (topic.startsWith('state.')) {
    const { state, reason } = payload as { state: RunState; reason: string };
    return { ...stored, stateChanged: { state: STATE_NAMES[state], reason } };
  }
  if (topic === 'epoch.finished')
    return { ...stored, epochFinished: { epoch: toEpoch(run, payload as unknown as EpochRecord) } };
  switch (event.type) {
    case 'started': {
      const { method, seed, epochs, firstEpoch } = event;
      const classes = [...event.classes];
      return {
        ...stored,
        started: { method, seed, epochs, firstEpoch, classes, classCounts: [...event.classCounts] },
      };
    }
    case 'quota': {
      const { epoch, accuracy, quota } = event;
      return { ...stored, quotaDecided: { epoch, accuracy: [...accuracy], quota: [...quota] } };
    }
    case 'actor': {
      const { actor, state, reason } = event;
      return { ...stored, actorChanged: { actor, state, reason } };
    }
    case 'data':
      return { ...stored, dataDoubted: { skipped: [...event.skipped], warnings: [...event.warnings] } };
    default:
      return null;
  }
}

/** Progress within an epoch; null for what is stored. */
function toProgress(event: RunEvent): RunEventMessage | null {
  const unstored = { sequence: 0, time: toTimestamp(new Date().toISOString()) };
  if (event.type === 'synthesis') {
    const { epoch, done, total, imagesPerSecond } = event;
    return { ...unstored, synthesisProgress: { epoch, done, total, imagesPerSecond } };
  }
  if (event.type === 'training') {
    const { epoch, step, steps, loss } = event;
    return { ...unstored, trainingProgress: { epoch, step, steps, loss } };
  }
  if (event.type === 'preparation') {
    const { activity, done, total, seconds } = event;
    return { ...unstored, preparationProgress: { activity, done, total, seconds } };
  }
  return null;
}
