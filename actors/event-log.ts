/**
 * The embedded event bus: a file of JSON lines, and the latest events in memory. An existing file is continued, so a
 * resumed run replays its whole past. Subscribers hold a position, not a queue: a slow one costs no memory and reads
 * what left memory from the file.
 */

import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, toError } from '../common/errors.ts';
import { ensureDirectory, writeFailure } from '../common/files.ts';
import { checkTopic, checkTopicFilter, topicMatches } from './event-bus.ts';
import type { BusEvent, EventBus, SubscribeOptions } from './event-bus.ts';

/** Events kept in memory. */
const RECENT_EVENTS = 4096;

export interface EventLogOptions {
  /** File to append to, as `<runDir>/events.jsonl`. */
  readonly path: string;
  readonly now?: () => Date;
}

interface StoredLog {
  readonly events: BusEvent[];
  /** Length of the whole lines, bytes. */
  readonly lengthBytes: number;
}

/** Reads whole lines; a last line without newline was cut off by a crash and counts as never published. */
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
  return { events: lines.map((line) => JSON.parse(line) as BusEvent), lengthBytes };
}

interface Unwritten {
  readonly topic: string;
  readonly time: string;
  readonly payloadJson: string;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: Error) => void;
}

function lineOf(sequence: number, { topic, time, payloadJson }: Unwritten): string {
  return `{"sequence":${sequence},"topic":"${topic}","time":"${time}","payload":${payloadJson}}`;
}

class EventLog implements EventBus {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #now: () => Date;
  #recent: BusEvent[];
  #lastSequence: number;
  #positionBytes: number;
  readonly #waiting: Unwritten[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;
  readonly #wakes = new Set<() => void>();

  constructor(path: string, file: FileHandle, stored: StoredLog, now: () => Date) {
    this.#path = path;
    this.#file = file;
    this.#now = now;
    this.#recent = stored.events.slice(-RECENT_EVENTS);
    this.#lastSequence = stored.events.at(-1)?.sequence ?? 0;
    this.#positionBytes = stored.lengthBytes;
  }

  publish(topic: string, payload: object): Promise<number> {
    return new Promise((resolve, reject) => {
      checkTopic(topic);
      if (this.#closed) throw new Error('The event bus is closed');
      const payloadJson = JSON.stringify(payload);
      this.#waiting.push({ topic, time: this.#now().toISOString(), payloadJson, resolve, reject });
      this.#writing ??= this.#writeWaiting();
    });
  }

  subscribe(filter: string, options: SubscribeOptions, signal: AbortSignal): AsyncIterable<BusEvent> {
    checkTopicFilter(filter);
    return this.#follow(filter, options.fromSequence ?? this.#lastSequence + 1, signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#file.close();
    this.#wakeAll();
  }

  /** Stores whatever waits, many events with one write, until nothing does. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const lines = batch.map((event, index) => lineOf(this.#lastSequence + 1 + index, event));
      const bytes = Buffer.from(lines.join('\n') + '\n');
      try {
        // At an explicit position: lines cut off by a full disk are overwritten by the next ones.
        await this.#file.write(bytes, 0, bytes.length, this.#positionBytes);
      } catch (thrown) {
        const failure = toError(writeFailure(this.#path, thrown));
        for (const { reject } of batch) reject(failure);
        continue;
      }
      this.#positionBytes += bytes.length;
      this.#keep(lines.map((line) => JSON.parse(line) as BusEvent));
      for (const [index, { resolve }] of batch.entries()) {
        resolve(this.#lastSequence - batch.length + 1 + index);
      }
    }
    this.#writing = null;
  }

  #keep(events: readonly BusEvent[]): void {
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
    while (!signal.aborted) {
      const batch = await this.#eventsFrom(next);
      for (const event of batch) {
        next = event.sequence + 1;
        if (topicMatches(filter, event.topic)) yield event;
        if (signal.aborted) return;
      }
      if (batch.length > 0) continue;
      if (this.#closed) return;
      await this.#changed(signal);
    }
  }

  async #eventsFrom(sequence: number): Promise<readonly BusEvent[]> {
    const first = this.#recent[0]?.sequence ?? this.#lastSequence + 1;
    if (sequence >= first) return this.#recent.slice(sequence - first);
    const stored = await readLog(this.#path);
    return stored.events.filter((event) => event.sequence >= sequence);
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wakes.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wakes.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  #wakeAll(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}

/** Opens (or continues) the event file. @throws UserError when it cannot be written. */
export async function openEventLog(options: EventLogOptions): Promise<EventBus> {
  const { path, now = () => new Date() } = options;
  await ensureDirectory(dirname(path));
  try {
    const stored = await readLog(path);
    const file = await open(path, stored.lengthBytes === 0 ? 'w' : 'r+');
    await file.truncate(stored.lengthBytes);
    return new EventLog(path, file, stored, now);
  } catch (thrown) {
    throw writeFailure(path, thrown);
  }
}
