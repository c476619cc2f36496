/**
 * Publishes the events of a run: `RunEvent`s to the caller of Run (live views), and lasting facts to the event bus.
 * Progress within an epoch is not kept.
 */
import type { EventBus, EventPayload } from '../../actors/control/event-bus.ts';
import { UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import type { RunEvent } from '../../report/records.ts';

/** Facts of the bus that live views do not show. */
export type BusFact =
  | {
      readonly topic: 'weights.published';
      readonly payload: { epoch: number; version: number; digest: string };
    }
  | { readonly topic: 'shard.made'; readonly payload: ShardFact & { images: number; seconds: number } }
  | { readonly topic: 'shard.redone'; readonly payload: ShardFact & { reason: string } };

interface ShardFact {
  readonly epoch: number;
  readonly shard: number;
  readonly worker: string;
  readonly attempt: number;
}

export interface RunEvents {
  emit(event: RunEvent): void;
  publish(fact: BusFact): void;
  /** Resolves when all events so far are stored. Rejects when one could not be stored for lack of disk space. */
  flush(): Promise<void>;
}

/** Sends events to `onEvent` at once and to the bus in order. A failing bus is logged once. */
export function createRunEvents(bus: EventBus, onEvent: (event: RunEvent) => void, log: Log): RunEvents {
  let stored: Promise<unknown> = Promise.resolve();
  let failure: UserError | null = null;
  let warned = false;
  const onFailure = (thrown: unknown) => {
    if (thrown instanceof UserError) failure ??= thrown;
    if (!warned) log.warn('events cannot be stored', { error: thrown });
    warned = true;
  };
  const store = (topic: string, payload: EventPayload) => {
    stored = stored.then(() => bus.publish(topic, payload)).catch(onFailure);
  };
  return {
    emit(event) {
      onEvent(event);
      const kept = asFact(event);
      if (kept) store(kept.topic, kept.payload);
    },
    publish: ({ topic, payload }) => store(topic, { ...payload }),
    async flush() {
      await stored;
      if (failure) throw failure;
    },
  };
}

/** An event as the bus keeps it; null for mere progress. */
export function asFact(event: RunEvent): { topic: string; payload: EventPayload } | null {
  switch (event.type) {
    case 'synthesis':
    case 'training':
    case 'preparation':
      return null;
    case 'data':
    case 'started':
    case 'cancelled':
      return { topic: `run.${event.type}`, payload: { ...event } };
    case 'quota':
      return { topic: 'epoch.quota', payload: { ...event } };
    case 'epoch':
      return { topic: 'epoch.finished', payload: { ...event.record } };
    case 'actor':
      return { topic: `actor.${event.state}`, payload: { ...event } };
    case 'finished': {
      const { method, seed, optimizerSteps, seconds, weightsDigest, test } = event.report;
      const balancedAccuracy = test?.balancedAccuracy ?? null;
      return {
        topic: 'run.finished',
        payload: { method, seed, optimizerSteps, seconds, weightsDigest, balancedAccuracy },
      };
    }
    default:
      return event satisfies never;
  }
}
