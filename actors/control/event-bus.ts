/**
 * Events of a run: durable, ordered, replayable from a sequence number. Two implementations with the same behaviour:
 * `embedded` (event-log.ts) and NATS JetStream (event-nats.ts). Actors reach their node's bus through gRPC
 * (event-service.ts).
 */

import { UserError } from '../../common/errors.ts';
import { checkWhole, shown } from '../base/checks.ts';
import { encodeObject } from '../base/json-value.ts';

/** A JSON object. */
export type EventPayload = Readonly<Record<string, unknown>>;

export interface BusEvent {
  /** Place in the run, from 1, without gaps. */
  readonly sequence: number;
  /**
   * Identifies the numbering of `sequence`. If the stored events are lost (a NATS server restarted with an empty store,
   * a file removed), numbering restarts at 1 under a new epoch.
   */
  readonly epoch: string;
  /** Tokens of letters, digits, `-` and `_`, separated by dots, as `epoch.finished`. */
  readonly topic: string;
  /** When it was published, ISO 8601. */
  readonly time: string;
  readonly payload: EventPayload;
}

export interface SubscribeOptions {
  /**
   * First sequence to deliver, from 1; a number beyond the last event counts as the next one. By default, only events
   * published from now on.
   */
  readonly fromSequence?: number;
  /**
   * The epoch of `fromSequence`. If that epoch is over, the number is meaningless, and all events of the present epoch
   * are delivered, from 1.
   */
  readonly epoch?: string;
}

export interface PublishOptions {
  /**
   * Any text without line breaks, unique to the event. An event whose id was stored within the last two minutes is not
   * stored again, so a publication can safely be repeated when its answer was lost.
   */
  readonly id?: string;
}

/** How long ids are remembered. */
export const DUPLICATE_WINDOW_MS = 120_000;

export interface EventBus {
  /**
   * Stores an event; resolves to its sequence when it is stored. @throws UserError (topic, full disk), CallError
   * UNAVAILABLE when a server is unreachable for longer than 5 s; the event may still have been stored.
   */
  publish(topic: string, payload: object, options?: PublishOptions): Promise<number>;
  /**
   * Events whose topic matches the filter, in order, each once, until the signal is aborted or the bus closes. The
   * subscription starts when this is called, not when iteration starts. It survives server outages, and continues with
   * number 1 of the next epoch if events were lost; unread events are then gone. Filter: a topic, with `*` for any one
   * token and `>` as the last token for one or more.
   */
  subscribe(topicFilter: string, options: SubscribeOptions, signal: AbortSignal): AsyncIterable<BusEvent>;
  /** Sequence of the last stored event; 0 when there is none. */
  lastSequence(): Promise<number>;
  close(): Promise<void>;
}

/** Longest topic and filter. */
const MAX_TOPIC_LENGTH = 256;
/** Maximum payload as JSON, bytes: NATS takes messages of 1 MiB. */
const MAX_PAYLOAD_BYTES = 960 * 1024;
const MAX_ID_LENGTH = 256;
const TOPIC = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const FILTER = /^(?:(?:[A-Za-z0-9_-]+|\*)\.)*(?:[A-Za-z0-9_-]+|\*|>)$/;

/** @throws UserError when `topic` is not a topic. */
export function checkTopic(topic: string): void {
  if (typeof topic !== 'string' || topic.length > MAX_TOPIC_LENGTH || !TOPIC.test(topic)) {
    throw new UserError(
      `Event topic '${shown(topic)}': use tokens of letters, digits, '-', '_', separated by dots.`,
    );
  }
}

/** The payload as JSON. @throws UserError when it, or the id, is invalid. */
export function encodePayload(topic: string, payload: object, id: string | undefined): string {
  if (id !== undefined && (typeof id !== 'string' || id.length > MAX_ID_LENGTH || /[\r\n]/.test(id)))
    throw new UserError(
      `Event '${topic}', id = ${shown(id)}: use text of one line, ${MAX_ID_LENGTH} characters at most.`,
    );
  return encodeObject(payload, `Payload of event '${topic}'`, MAX_PAYLOAD_BYTES);
}

/** @throws UserError for an impossible sequence. */
export function checkSubscription(filter: string, { fromSequence = 1 }: SubscribeOptions): void {
  checkTopicFilter(filter);
  checkWhole('Subscription, fromSequence', fromSequence, 1);
}

/** @throws UserError when `filter` is not a topic filter. */
export function checkTopicFilter(filter: string): void {
  if (typeof filter !== 'string' || filter.length > MAX_TOPIC_LENGTH || !FILTER.test(filter)) {
    throw new UserError(
      `Event filter '${shown(filter)}': use a topic, '*' for one token, a last '>' for the rest.`,
    );
  }
}

/** Whether a topic matches a filter. */
export function topicMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('.');
  const tokens = topic.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (index >= tokens.length || (token !== '*' && token !== tokens[index])) return false;
  }
  return tokens.length === wanted.length;
}
