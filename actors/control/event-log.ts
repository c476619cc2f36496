/**
 * The embedded event bus: a file of JSON lines, and the latest events in memory. An existing file is continued, so a
 * resumed run replays its whole past. Subscribers hold a position, not a queue: a slow one costs no memory and reads
 * older events from the file.
 */

import { randomUUID } from 'node:crypto';
import { copyFile, type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Registry } from 'prom-client';
import { onAbort } from '../../common/abort.ts';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { ensureDirectory, writeFailure } from '../../common/files.ts';
import { parseJsonObject } from '../../common/json-file.ts';
import {
  checkSubscription,
  checkTopic,
  DUPLICATE_WINDOW_MS,
  encodePayload,
  topicMatches,
} from './event-bus.ts';
import type { BusEvent, EventBus, PublishOptions, SubscribeOptions } from './event-bus.ts';
import { EventMetrics, type LagSource } from './event-metrics.ts';

/** Events kept in memory. */
const RECENT_EVENTS = 4096;
/** Maximum number of remembered ids, to bound memory. */
const MAX_IDS = 65_536;

/** A line of the file. All lines belong to one epoch, named after the time of the first. */
type StoredEvent = Omit<BusEvent, 'epoch'> & { readonly id?: string };

export interface EventLogOptions {
  /** File to append to, as `<runDir>/events.jsonl`. */
  readonly path: string;
  /** Destination of metrics; none by default. */
  readonly metrics?: Registry;
}

interface StoredLog {
  readonly events: StoredEvent[];
  /** Length of the whole lines, bytes. */
  readonly lengthBytes: number;
}

/** Reads whole lines. A last line without a newline was cut off by a crash and was never published. */
async function readLog(path: string): Promise<StoredLog> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return { events: [], lengthBytes: 0 };
    throw thrown;
  }
  const lengthBytes = bytes.lastIndexOf('\n') + 1;
  const lines = bytes.toString('utf8', 0, lengthBytes).split('\n').slice(0, -1);
  return { events: lines.map((line, i) => parseLine(line, `${path}:${i + 1}`)), lengthBytes };
}

/** @throws UserError naming the line. */
function parseLine(line: string, where: string): StoredEvent {
  const advice = 'move the file away: the run goes on without its earlier events';
  const { sequence, time, topic } = parseJsonObject(line, where, advice);
  if (Number.isSafeInteger(sequence) && typeof time === 'string' && typeof topic === 'string')
    return JSON.parse(line) as StoredEvent;
  throw new UserError(`${where} is damaged: it is not an event; ${advice}`);
}

/** Sequences by id, oldest first. */
class RecentIds {
  readonly #sequences = new Map<string, { readonly sequence: number; readonly atMs: number }>();

  get(id: string, nowMs: number): number | null {
    const known = this.#sequences.get(id);
    return known !== undefined && nowMs - known.atMs <= DUPLICATE_WINDOW_MS ? known.sequence : null;
  }

  add({ id, sequence, time }: StoredEvent): void {
    if (id === undefined) return;
    this.#sequences.delete(id);
    this.#sequences.set(id, { sequence, atMs: Date.parse(time) });
    if (this.#sequences.size > MAX_IDS) this.#sequences.delete(this.#sequences.keys().next().value ?? '');
  }
}

interface Unwritten {
  readonly id: string | undefined;
  readonly topic: string;
  readonly time: string;
  readonly payloadJson: string;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: Error) => void;
}

function lineOf(sequence: number, { id, topic, time, payloadJson }: Unwritten): string {
  const idJson = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  return `{"sequence":${sequence},"topic":"${topic}","time":"${time}","payload":${payloadJson}${idJson}}`;
}

class EventLog implements EventBus {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #metrics: EventMetrics | null;
  readonly #ids = new RecentIds();
  /** Publications in progress, by id. */
  readonly #publishing = new Map<string, Promise<number>>();
  readonly #lags = new Set<LagSource>();
  #epoch: string | null;
  #recent: StoredEvent[];
  #lastSequence: number;
  #positionBytes: number;
  readonly #waiting: Unwritten[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;
  readonly #wakes = new Set<() => void>();

  constructor(options: EventLogOptions, file: FileHandle, stored: StoredLog) {
    this.#path = options.path;
    this.#file = file;
    this.#metrics = options.metrics === undefined ? null : EventMetrics.of(options.metrics);
    this.#metrics?.add('embedded', this.#lags);
    this.#epoch = stored.events[0]?.time ?? null;
    this.#recent = stored.events.slice(-RECENT_EVENTS);
    for (const event of this.#recent) this.#ids.add(event);
    this.#lastSequence = stored.events.at(-1)?.sequence ?? 0;
    this.#positionBytes = stored.lengthBytes;
  }

  publish(topic: string, payload: object, { id }: PublishOptions = {}): Promise<number> {
    const underWay = id === undefined ? undefined : this.#publishing.get(id);
    const publishing = underWay ?? this.#append(topic, payload, id);
    if (id !== undefined && underWay === undefined) {
      this.#publishing.set(id, publishing);
      const forget = () => this.#publishing.delete(id);
      publishing.then(forget, forget);
    }
    return this.#metrics?.countFailure(publishing) ?? publishing;
  }

  subscribe(filter: string, options: SubscribeOptions, signal: AbortSignal): AsyncIterable<BusEvent> {
    checkSubscription(filter, options);
    const next = this.#lastSequence + 1;
    const { fromSequence = next, epoch = this.#epoch } = options;
    return this.#follow(filter, epoch === this.#epoch ? Math.min(fromSequence, next) : 1, signal);
  }

  lastSequence(): Promise<number> {
    return Promise.resolve(this.#lastSequence);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#metrics?.drop(this.#lags);
    await this.#writing;
    await this.#file.close();
    this.#wakeAll();
  }

  #append(topic: string, payload: object, id: string | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      checkTopic(topic);
      const payloadJson = encodePayload(topic, payload, id);
      if (this.#closed) throw new Error('The event bus is closed');
      const time = new Date();
      const stored = id === undefined ? null : this.#ids.get(id, time.getTime());
      if (stored !== null) return resolve(stored);
      this.#waiting.push({ id, topic, time: time.toISOString(), payloadJson, resolve, reject });
      this.#writing ??= this.#writeWaiting();
    });
  }

  /** Stores queued events, many with one write, until the queue is empty. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const lines = batch.map((event, index) => lineOf(this.#lastSequence + 1 + index, event));
      const bytes = Buffer.from(lines.join('\n') + '\n');
      try {
        // Writes at an explicit position: the next lines overwrite lines that a full disk cut off.
        await this.#file.write(bytes, 0, bytes.length, this.#positionBytes);
      } catch (thrown) {
        const failure = toError(writeFailure(this.#path, thrown));
        for (const { reject } of batch) reject(failure);
        continue;
      }
      this.#positionBytes += bytes.length;
      this.#keep(lines.map((line) => JSON.parse(line) as StoredEvent));
      for (const [index, { resolve }] of batch.entries()) {
        resolve(this.#lastSequence - batch.length + 1 + index);
      }
    }
    this.#writing = null;
  }

  #keep(events: readonly StoredEvent[]): void {
    this.#epoch ??= events[0]?.time ?? null;
    for (const event of events) this.#ids.add(event);
    this.#lastSequence += events.length;
    this.#recent.push(...events);
    if (this.#recent.length > 2 * RECENT_EVENTS) this.#recent = this.#recent.slice(-RECENT_EVENTS);
    this.#wakeAll();
  }

  async *#follow(
    filter: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<BusEvent, void, undefined> {
    let next = Math.max(1, from);
    const lag: LagSource = { filter, lag: () => Math.max(0, this.#lastSequence + 1 - next) };
    this.#lags.add(lag);
    try {
      while (!signal.aborted) {
        const batch = await this.#eventsFrom(next);
        for (const { sequence, topic, time, payload } of batch) {
          const epoch = this.#epoch ?? '';
          if (topicMatches(filter, topic)) yield { sequence, epoch, topic, time, payload };
          next = sequence + 1;
          if (signal.aborted) return;
        }
        if (batch.length > 0) continue;
        if (this.#closed) return;
        await this.#changed(signal);
      }
    } finally {
      this.#lags.delete(lag);
    }
  }

  async #eventsFrom(sequence: number): Promise<readonly StoredEvent[]> {
    const first = this.#recent[0]?.sequence ?? this.#lastSequence + 1;
    if (sequence >= first) return this.#recent.slice(sequence - first);
    const stored = await readLog(this.#path);
    return stored.events.filter((event) => event.sequence >= sequence);
  }

  async #changed(signal: AbortSignal): Promise<void> {
    let stop: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      this.#wakes.add(resolve);
      const stopListening = onAbort(signal, resolve);
      stop = () => {
        this.#wakes.delete(resolve);
        stopListening();
      };
    });
    stop();
  }

  #wakeAll(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}

/**
 * Opens a copy of the whole lines under the same name. A writer that was paused and does not know that it was replaced
 * continues on an unlinked file, and cannot overwrite later lines.
 */
async function takeOver(path: string, lengthBytes: number): Promise<FileHandle> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    if (lengthBytes > 0) await copyFile(path, temporary);
    const file = await open(temporary, lengthBytes === 0 ? 'wx' : 'r+');
    await file.truncate(lengthBytes);
    await file.sync();
    await rename(temporary, path);
    return file;
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
}

/** Opens or continues the event file. @throws UserError when it cannot be written. */
export async function openEventLog(options: EventLogOptions): Promise<EventBus> {
  const { path } = options;
  await ensureDirectory(dirname(path));
  try {
    const stored = await readLog(path);
    return new EventLog(options, await takeOver(path, stored.lengthBytes), stored);
  } catch (thrown) {
    throw writeFailure(path, thrown);
  }
}
