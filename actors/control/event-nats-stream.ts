/** The JetStream stream that holds one run's events. */

import { DeliverPolicy, JSONCodec, nanos, RetentionPolicy, StorageType } from 'nats';
import type { Consumer, ConsumerMessages, JetStreamClient, JsMsg, StreamInfo } from 'nats';
import { type BusEvent, DUPLICATE_WINDOW_MS, type EventPayload } from './event-bus.ts';
import { isMissingStream, type NatsConnectionOptions, NatsLink } from './nats-connection.ts';

/** Time for one attempt: a server that was paused may have lost the request. */
export const ATTEMPT_MS = 2000;
const REMOVAL_DEADLINE_MS = 5000;

export interface Message {
  readonly time: string;
  readonly payload: EventPayload;
}

export const codec = JSONCodec<Message>();

/** How long a stream keeps the events of a run that never ended, because its process was killed and never resumed. */
const LONGEST_KEEP_MS = 30 * 86_400_000;

/** The stream and subjects of a run's events; characters other than letters, digits, `-` and `_` become `_`. */
export function natsNames(runId: string): { readonly stream: string; readonly prefix: string } {
  const id = runId.replace(/[^A-Za-z0-9_-]/g, '_');
  return { stream: `BALLAST_${id}`, prefix: `ballast.${id}.` };
}

export class RunStream {
  readonly name: string;
  readonly prefix: string;
  readonly link: NatsLink;
  readonly client: JetStreamClient;

  constructor(link: NatsLink, runId: string) {
    const { stream, prefix } = natsNames(runId);
    this.name = stream;
    this.prefix = prefix;
    this.link = link;
    this.client = link.connection.jetstream({ timeout: ATTEMPT_MS });
  }

  /** The stream, created if it does not exist. */
  async open(): Promise<StreamInfo> {
    const { streams } = await this.client.jetstreamManager(false);
    try {
      return await streams.info(this.name);
    } catch (thrown) {
      if (!isMissingStream(thrown)) throw thrown;
    }
    return streams.add({
      name: this.name,
      subjects: [`${this.prefix}>`],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      max_age: nanos(LONGEST_KEEP_MS),
    });
  }

  /** Sets the age at which events expire from now on. */
  async keepFor(ms: number): Promise<void> {
    const { streams } = await this.client.jetstreamManager(false);
    await streams.update(this.name, { max_age: nanos(ms) });
  }

  /** Resolves if it does not exist. */
  async remove(): Promise<void> {
    const { streams } = await this.client.jetstreamManager(false);
    await streams.delete(this.name).catch((thrown: unknown) => {
      if (!isMissingStream(thrown)) throw thrown;
    });
  }

  /** Events from a sequence on, as one connection delivers them. */
  async consume(filter: string, sequence: number): Promise<[Consumer, ConsumerMessages]> {
    const consumer = await this.client.consumers.get(this.name, {
      filterSubjects: this.prefix + filter,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: sequence,
    });
    return [consumer, await consumer.consume()];
  }

  toEvent(message: JsMsg, epoch: string): BusEvent {
    const { time, payload } = codec.decode(message.data);
    return { sequence: message.seq, epoch, topic: message.subject.slice(this.prefix.length), time, payload };
  }
}

/** Expires a run's events `keepMs` after they happened; null restores the default of a running run. */
export async function keepNatsEvents(
  options: NatsConnectionOptions & { readonly runId: string },
  keepMs: number | null,
): Promise<void> {
  const link = await NatsLink.connect(options);
  try {
    const stream = new RunStream(link, options.runId);
    const keep = () => stream.keepFor(keepMs ?? LONGEST_KEEP_MS);
    await link.request('limiting the stream', REMOVAL_DEADLINE_MS, keep);
  } finally {
    await link.close();
  }
}

/** Removes a run's stream with all its events; it need not exist. @throws UserError when NATS cannot be reached. */
export async function removeNatsEvents(
  options: NatsConnectionOptions & { readonly runId: string },
): Promise<void> {
  const link = await NatsLink.connect(options);
  try {
    const stream = new RunStream(link, options.runId);
    await link.request('removing the stream', REMOVAL_DEADLINE_MS, () => stream.remove());
  } finally {
    await link.close();
  }
}
