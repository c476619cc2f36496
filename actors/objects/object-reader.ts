/**
 * Reads objects for one process: from its cache, from a file of its node, or by bringing them to its node from another.
 * Simultaneous reads of one object share the work.
 */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../common/errors.ts';
import { ByteCache } from '../base/byte-cache.ts';
import { CallError } from '../base/call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import { withLimits } from '../base/limits.ts';
import type { CallOptions } from '../proto/protos.ts';
import type { GetSource, ProcessObjectMetrics } from './object-metrics.ts';
import { fileNameOf, ObjectError, type ObjectRef } from './object-ref.ts';
import { readSealed } from './shared-memory.ts';
import type { StoreMember } from './store-member.ts';

/** Attempts to read an object that is moved each time. */
const READ_ATTEMPTS = 4;

interface Read {
  readonly bytes: Promise<Uint8Array>;
  readonly controller: AbortController;
  waiters: number;
}

export class ObjectReader {
  readonly #member: StoreMember;
  readonly #metrics: ProcessObjectMetrics;
  readonly #cache: ByteCache;
  readonly #reads = new Map<string, Read>(); // by id and digest

  constructor(member: StoreMember, metrics: ProcessObjectMetrics, cacheBytes: number) {
    this.#member = member;
    this.#metrics = metrics;
    this.#cache = new ByteCache(cacheBytes);
  }

  /** Keeps bytes that the process has already, for `get`. */
  remember(ref: ObjectRef, bytes: Uint8Array): void {
    this.#cache.set(readKey(ref), bytes);
  }

  forget(ref: ObjectRef): void {
    this.#cache.delete(readKey(ref));
  }

  /** Bytes that may be shared within this process. @throws as `read` */
  async get(ref: ObjectRef, options: CallOptions): Promise<Uint8Array> {
    const here = this.#cache.get(readKey(ref));
    if (here !== undefined) {
      this.#metrics.got('memory', here.byteLength);
      return here;
    }
    const deadlineMs = effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const read = this.#reads.get(readKey(ref)) ?? this.#begin(ref);
    read.waiters++;
    try {
      return await withLimits(read.bytes, { ...options, deadlineMs }, `get of ${ref.id}`);
    } finally {
      if (--read.waiters === 0) this.#end(readKey(ref), read);
    }
  }

  /** Bytes that nobody else in this process has. @throws as `get` */
  async read(ref: ObjectRef, options: CallOptions): Promise<Uint8Array> {
    const deadlineMs = effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const controller = new AbortController();
    try {
      return await withLimits(
        this.#read(ref, controller.signal),
        { ...options, deadlineMs },
        `get of ${ref.id}`,
      );
    } finally {
      controller.abort(new CallError('CANCELLED', 'nobody waits any more'));
    }
  }

  /** Brings an object to this node. @throws as `get` */
  async bring(ref: ObjectRef, signal: AbortSignal): Promise<void> {
    if (this.#cache.get(readKey(ref)) !== undefined) return;
    const { node, owner } = this.#member;
    const { folder } = await this.#member.join();
    try {
      await access(join(folder, fileNameOf(ref)));
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
      await node.locate({ object: ref, owner }, { signal, deadlineMs: Infinity });
      this.#unpin(ref.id);
    }
  }

  #begin(ref: ObjectRef): Read {
    const controller = new AbortController();
    const read: Read = { bytes: this.#readAndKeep(ref, controller.signal), controller, waiters: 0 };
    this.#reads.set(readKey(ref), read);
    return read;
  }

  #end(key: string, read: Read): void {
    read.controller.abort(new CallError('CANCELLED', 'nobody waits any more'));
    if (this.#reads.get(key) === read) this.#reads.delete(key);
  }

  async #readAndKeep(ref: ObjectRef, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#read(ref, signal);
    this.remember(ref, bytes);
    return bytes;
  }

  async #read(ref: ObjectRef, signal: AbortSignal): Promise<Uint8Array> {
    const { folder } = await this.#member.join();
    const found = await readSealed(join(folder, fileNameOf(ref)), ref.sizeBytes);
    const { bytes, source } =
      found === null ? await this.#readLocated(ref, signal) : { bytes: found, source: 'shm' as const };
    this.#metrics.got(source, bytes.byteLength);
    return bytes;
  }

  /** Reads an object that the node has or fetches, and pins it meanwhile. */
  async #readLocated(ref: ObjectRef, signal: AbortSignal): Promise<{ bytes: Uint8Array; source: GetSource }> {
    const { node, owner } = this.#member;
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      const { path, source } = await node.locate({ object: ref, owner }, { signal, deadlineMs: Infinity });
      const bytes = await readSealed(path, ref.sizeBytes).finally(() => this.#unpin(ref.id));
      if (bytes !== null) return { bytes, source: SOURCES[source] };
    }
    throw new ObjectError('DATA_LOSS', ref.id, `its file is gone, or does not have ${ref.sizeBytes} bytes`);
  }

  #unpin(id: string): void {
    const { node, owner } = this.#member;
    // If the node never receives it, the pin ends with this process.
    void node.unpin({ id, owner }).catch(() => undefined);
  }
}

function readKey({ id, digest }: ObjectRef): string {
  return `${id} ${digest}`;
}

const SOURCES = {
  OBJECT_SOURCE_UNSPECIFIED: 'shm',
  OBJECT_SOURCE_MEMORY: 'shm',
  OBJECT_SOURCE_SPILL: 'spill',
  OBJECT_SOURCE_REMOTE: 'remote',
} as const;
