/**
 * The event bus on NATS JetStream: one stream per run. NATS numbers the events, so several processes may publish. What
 * it holds can be rebuilt from the run folder; it is never the only copy of anything.
 */

import { connect, DeliverPolicy, JSONCodec, NatsError, RetentionPolicy, StorageType } from 'nats';
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg, NatsConnection } from 'nats';
import { toError, UserError } from '../common/errors.ts';
import { CallError } from './call-errors.ts';
import { checkTopic, checkTopicFilter } from './event-bus.ts';
import type { BusEvent, EventBus, EventPayload, SubscribeOptions } from './event-bus.ts';

export interface NatsEventBusOptions {
  /** As `nats://localhost:4222`, with user and password if the server wants them. */
  readonly url: string;
  /** Names the run's stream; other characters than letters, digits, `-` and `_` become `_`. */
  readonly runId: string;
  readonly now?: () => Date;
}

const CONNECT_TIMEOUT_MS = 3000;
const PUBLISH_TIMEOUT_MS = 5000;

interface Message {
  readonly time: string;
  readonly payload: EventPayload;
}

const codec = JSONCodec<Message>();

interface Target {
  readonly servers: string;
  readonly credentials: { readonly user?: string; readonly pass?: string };
}

/** @throws UserError when `url` is none, or of another protocol. */
function parseTarget(url: string): Target {
  const withProtocol = url.includes('://') ? url : `nats://${url}`;
  const parsed = URL.canParse(withProtocol) ? new URL(withProtocol) : null;
  if (parsed === null || !['nats:', 'tls:'].includes(parsed.protocol) || parsed.hostname === '') {
    throw new UserError(`NATS address '${url}': use nats://HOST:PORT.`);
  }
  const { username, password } = parsed;
  const credentials =
    username === '' ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  return { servers: `${parsed.hostname}:${parsed.port === '' ? '4222' : parsed.port}`, credentials };
}

async function connectTo({ servers, credentials }: Target): Promise<NatsConnection> {
  try {
    return await connect({
      servers,
      ...credentials,
      name: 'ballast',
      timeout: CONNECT_TIMEOUT_MS,
      reconnect: true,
      maxReconnectAttempts: -1,
    });
  } catch (thrown) {
    const reason = thrown instanceof NatsError ? thrown.code : toError(thrown).message;
    throw new UserError(
      `Cannot reach NATS at ${servers} (${reason}): start it (nats-server -js), or correct the address.`,
      { cause: thrown },
    );
  }
}

/** Makes the run's stream, or finds it. @throws UserError when the server has no JetStream. */
async function openStream(manager: JetStreamManager, name: string, subjects: string): Promise<void> {
  const isThere = await manager.streams.info(name).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  await manager.streams.add({
    name,
    subjects: [subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
  });
}

class NatsEventBus implements EventBus {
  readonly #connection: NatsConnection;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #now: () => Date;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;

  constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    stream: string,
    prefix: string,
    now: () => Date,
  ) {
    this.#connection = connection;
    this.#manager = manager;
    this.#stream = stream;
    this.#prefix = prefix;
    this.#now = now;
    this.#client = connection.jetstream({ timeout: PUBLISH_TIMEOUT_MS });
  }

  async publish(topic: string, payload: object): Promise<number> {
    checkTopic(topic);
    const message = { time: this.#now().toISOString(), payload: payload as EventPayload };
    try {
      const ack = await this.#client.publish(this.#prefix + topic, codec.encode(message));
      return ack.seq;
    } catch (thrown) {
      throw this.#failure('did not store the event', thrown);
    }
  }

  subscribe(filter: string, options: SubscribeOptions, signal: AbortSignal): AsyncIterable<BusEvent> {
    checkTopicFilter(filter);
    const start =
      options.fromSequence === undefined ? this.#nextSequence() : Promise.resolve(options.fromSequence);
    start.catch(() => undefined); // heard when iteration begins
    return this.#follow(filter, start, signal);
  }

  async close(): Promise<void> {
    if (!this.#connection.isClosed()) await this.#connection.drain();
  }

  async #nextSequence(): Promise<number> {
    const { state } = await this.#manager.streams.info(this.#stream);
    return state.last_seq + 1;
  }

  async *#follow(
    filter: string,
    start: Promise<number>,
    signal: AbortSignal,
  ): AsyncGenerator<BusEvent, void, undefined> {
    const messages = await this.#consume(filter, Math.max(1, await start));
    const stop = () => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      for await (const message of messages) {
        if (signal.aborted) return;
        yield this.#toEvent(message);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  async #consume(filter: string, sequence: number): Promise<ConsumerMessages> {
    try {
      const consumer = await this.#client.consumers.get(this.#stream, {
        filterSubjects: this.#prefix + filter,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: sequence,
      });
      return await consumer.consume();
    } catch (thrown) {
      throw this.#failure('did not begin the subscription', thrown);
    }
  }

  #toEvent(message: JsMsg): BusEvent {
    const { time, payload } = codec.decode(message.data);
    return { sequence: message.seq, topic: message.subject.slice(this.#prefix.length), time, payload };
  }

  #failure(what: string, thrown: unknown): Error {
    const reason = toError(thrown).message;
    return new CallError('UNAVAILABLE', `NATS at ${this.#connection.getServer()} ${what}: ${reason}`, {
      cause: thrown,
    });
  }
}

/** Connects to NATS and opens the run's stream. @throws UserError within a few seconds when that is impossible. */
export async function openNatsEventBus(options: NatsEventBusOptions): Promise<EventBus> {
  const { url, now = () => new Date() } = options;
  const runId = options.runId.replace(/[^A-Za-z0-9_-]/g, '_');
  const target = parseTarget(url);
  const connection = await connectTo(target);
  try {
    const manager = await connection.jetstreamManager();
    const stream = `BALLAST_${runId}`;
    await openStream(manager, stream, `ballast.${runId}.>`);
    return new NatsEventBus(connection, manager, stream, `ballast.${runId}.`, now);
  } catch (thrown) {
    await connection.close();
    const reason = toError(thrown).message;
    throw new UserError(
      `NATS at ${target.servers} cannot keep the run's events (${reason}): start it with JetStream (nats-server -js).`,
      { cause: thrown },
    );
  }
}
