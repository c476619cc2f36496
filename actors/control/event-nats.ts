/**
 * The event bus on NATS JetStream: one stream per run. NATS numbers the events, so several processes may publish.
 * Everything in it can be rebuilt from the run folder; it is never the only copy of anything.
 *
 * The server may go away: publishers wait for it within their deadline and repeat under one message id, which the
 * stream stores once; subscriptions resume after the last event delivered. If a server comes back empty, the stream is
 * created again; its creation time identifies the epoch of its numbers, and a subscription continues with number 1 of
 * the new epoch.
 */

import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Consumer, ConsumerMessages, StreamInfo } from 'nats';
import type { Registry } from 'prom-client';
import { onAbort } from '../../common/abort.ts';
import { toError, UserError } from '../../common/errors.ts';
import { checkMilliseconds, shown } from '../base/checks.ts';
import { sleep, systemClock } from '../base/clock.ts';
import { checkSubscription, checkTopic, encodePayload } from './event-bus.ts';
import type { BusEvent, EventBus, EventPayload, PublishOptions, SubscribeOptions } from './event-bus.ts';
import { EventMetrics, type LagSource } from './event-metrics.ts';
import { ATTEMPT_MS, codec, RunStream } from './event-nats-stream.ts';
import { joinSignals } from '../base/limits.ts';
import {
  isMissingStream,
  type NatsConnectionOptions,
  NatsLink,
  OPEN_DEADLINE_MS,
  openingAdvice,
} from './nats-connection.ts';
import { retryDelayMs } from '../base/retry.ts';

export interface NatsEventBusOptions extends NatsConnectionOptions {
  /** The run that owns the stream; characters other than letters, digits, `-` and `_` become `_`. */
  readonly runId: string;
  /** Maximum duration of a publication, milliseconds; 5000 by default. */
  readonly deadlineMs?: number;
  /** Destination of metrics; none by default. */
  readonly metrics?: Registry;
}

const DEADLINE_MS = 5000;
/** How often a subscription checks that its stream is still the same. */
const EPOCH_CHECK_MS = 5000;

/** The position of a subscription. */
interface Position {
  epoch: string;
  /** The next sequence to deliver. */
  next: number;
}

/**
 * The position at which to resume in the present stream: 1 in another epoch; if the same stream ends before `next`, as
 * after a crash that lost its last writes, its end, from where numbers are assigned again.
 */
export function resumePosition(
  { epoch, next }: Position,
  stream: { readonly epoch: string; readonly lastSequence: number },
): Position {
  if (epoch !== stream.epoch) return { epoch: stream.epoch, next: 1 };
  return { epoch, next: Math.max(1, Math.min(next, stream.lastSequence + 1)) };
}

class NatsEventBus implements EventBus {
  readonly #stream: RunStream;
  readonly #deadlineMs: number;
  readonly #metrics: EventMetrics | null;
  readonly #lags = new Set<LagSource>();
  readonly #closing = new AbortController();

  constructor(stream: RunStream, options: NatsEventBusOptions) {
    this.#stream = stream;
    setMaxListeners(0, this.#closing.signal); // every subscription adds a listener
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#metrics = options.metrics === undefined ? null : EventMetrics.of(options.metrics);
    this.#metrics?.add('nats', this.#lags);
  }

  publish(topic: string, payload: object, options: PublishOptions = {}): Promise<number> {
    const publishing = this.#publish(topic, payload, options.id ?? randomUUID());
    return this.#metrics?.countFailure(publishing) ?? publishing;
  }

  subscribe(filter: string, options: SubscribeOptions, signal: AbortSignal): AsyncIterable<BusEvent> {
    checkSubscription(filter, options);
    const start = this.#start(options);
    start.catch(() => undefined); // a failure surfaces when iteration begins
    return this.#follow(filter, start, signal);
  }

  async lastSequence(): Promise<number> {
    return epochOf(await this.#request('looking', () => this.#stream.open())).lastSequence;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#metrics?.drop(this.#lags);
    await this.#stream.link.close();
  }

  async #publish(topic: string, payload: object, id: string): Promise<number> {
    checkTopic(topic);
    encodePayload(topic, payload, id);
    const { client, link, prefix } = this.#stream;
    const data = codec.encode({ time: new Date().toISOString(), payload: payload as EventPayload });
    const endMs = performance.now() + this.#deadlineMs;
    for (let attempt = 1; ; attempt++) {
      const leftMs = endMs - performance.now();
      try {
        const send = () => client.publish(prefix + topic, data, { msgID: id });
        await link.ready(leftMs);
        return (await link.request('publishing', Math.min(leftMs, ATTEMPT_MS), send)).seq;
      } catch (thrown) {
        const waitMs = retryDelayMs(attempt, Math.random());
        if (performance.now() + waitMs > endMs || this.#closing.signal.aborted) {
          throw isMissingStream(thrown) ? link.unavailable('does not have the stream', thrown) : thrown;
        }
        if (isMissingStream(thrown)) await this.#stream.open().catch(() => undefined);
        await sleep(systemClock, waitMs, this.#closing.signal);
      }
    }
  }

  async #start({ fromSequence, epoch }: SubscribeOptions): Promise<Position> {
    const stream = await this.#request('subscribing', () => this.#stream.open());
    const present = { epoch: stream.created, lastSequence: stream.state.last_seq };
    if (fromSequence === undefined) return { epoch: present.epoch, next: present.lastSequence + 1 };
    if (epoch !== undefined) return { epoch, next: fromSequence };
    return { epoch: present.epoch, next: fromSequence };
  }

  async *#follow(
    filter: string,
    start: Promise<Position>,
    outer: AbortSignal,
  ): AsyncGenerator<BusEvent, void, undefined> {
    const joined = joinSignals([outer, this.#closing.signal]);
    const { signal } = joined;
    try {
      const position = await start;
      for (let attempt = 1; !signal.aborted; attempt++) {
        try {
          for await (const event of this.#session(filter, position, signal)) {
            attempt = 1;
            position.next = event.sequence + 1;
            yield event;
          }
        } catch {
          // The server is unreachable: the next session waits for it.
        }
        await sleep(systemClock, retryDelayMs(attempt, Math.random()), signal);
      }
    } finally {
      joined.release();
    }
  }

  /** Yields events until the connection is lost or the stream is replaced; moves `position` along. */
  async *#session(
    filter: string,
    position: Position,
    outer: AbortSignal,
  ): AsyncGenerator<BusEvent, void, undefined> {
    const { link } = this.#stream;
    await link.ready(Infinity, outer);
    const joined = joinSignals([outer, link.session]);
    try {
      const stream = await this.#request('subscribing', () => this.#stream.open());
      Object.assign(position, resumePosition(position, epochOf(stream)));
      const [consumer, messages] = await this.#consume(filter, position.next);
      const lag = { filter, lag: async () => (await consumer.info()).num_pending + messages.getPending() };
      yield* this.#deliver(messages, position, lag, joined.signal);
    } finally {
      joined.release();
    }
  }

  async *#deliver(
    messages: ConsumerMessages,
    position: Position,
    lag: LagSource,
    signal: AbortSignal,
  ): AsyncGenerator<BusEvent, void, undefined> {
    const stop = () => messages.stop();
    const stopListening = onAbort(signal, stop);
    const check = setInterval(() => void this.#stopIfReplaced(position.epoch, stop), EPOCH_CHECK_MS);
    this.#lags.add(lag);
    try {
      for await (const message of messages) {
        if (signal.aborted) return;
        if (message.seq >= position.next) yield this.#stream.toEvent(message, position.epoch);
      }
    } finally {
      this.#lags.delete(lag);
      clearInterval(check);
      stopListening();
      stop();
    }
  }

  async #consume(filter: string, sequence: number): Promise<[Consumer, ConsumerMessages]> {
    const consuming = this.#stream.consume(filter, sequence);
    try {
      return await this.#request('subscribing', () => consuming);
    } catch (thrown) {
      consuming.then(
        ([, late]) => late.stop(),
        () => undefined,
      );
      throw thrown;
    }
  }

  async #stopIfReplaced(epoch: string, stop: () => void): Promise<void> {
    const stream = await this.#request('looking', () => this.#stream.open()).catch(() => null);
    if (stream !== null && stream.created !== epoch) stop();
  }

  #request<T>(what: string, send: () => Promise<T>): Promise<T> {
    return this.#stream.link.request(what, this.#deadlineMs, send);
  }
}

function epochOf({ created, state }: StreamInfo): { epoch: string; lastSequence: number } {
  return { epoch: created, lastSequence: state.last_seq };
}

/** Connects to NATS and opens the run's stream. @throws UserError, within 40 s, when that is impossible. */
export async function openNatsEventBus(options: NatsEventBusOptions): Promise<EventBus> {
  const { runId, deadlineMs = DEADLINE_MS } = options;
  checkMilliseconds('Events, deadlineMs', deadlineMs);
  if (typeof runId !== 'string' || runId === '')
    throw new UserError(`Events, runId = ${shown(runId)}: name the run.`);
  const link = await NatsLink.connect(options);
  try {
    const stream = new RunStream(link, runId);
    await link.request('opening the stream', OPEN_DEADLINE_MS, () => stream.open());
    return new NatsEventBus(stream, options);
  } catch (thrown) {
    await link.close();
    const reason = toError(thrown).message;
    throw new UserError(
      `NATS at ${link.name} cannot keep the run's events (${reason}): ${openingAdvice(thrown)}.`,
      { cause: thrown },
    );
  }
}
