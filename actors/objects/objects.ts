/**
 * Bulk data by reference, for one process. `put` writes bytes into the store of this process's node and returns a ref
 * that rides in messages; whoever needs the bytes gets them: from a file on the same machine, or through its own node
 * from another. Nothing is ever pushed.
 *
 * Bytes are shared, not copied, within a process: neither who puts nor who gets may change them afterwards.
 */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { ObjectServiceClient } from '../../gen/ballast/runtime/v1/ObjectService.ts';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { shown } from '../base/checks.ts';
import { ByteCache } from '../base/byte-cache.ts';
import { CallError } from '../base/call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import { withLimits } from '../base/limits.ts';
import { NODE_OWNER } from './object-directory.ts';
import { ProcessObjectMetrics } from './object-metrics.ts';
import type { GetSource } from './object-metrics.ts';
import { checkRef, checkRefs, digestOf, fileNameOf, isDigest, ObjectError } from './object-ref.ts';
import type { ObjectRef } from './object-ref.ts';
import type { CallOptions, Calls } from '../proto/protos.ts';
import { objectService } from '../proto/runtime-services.ts';
import { readSealed, writeWhole } from './shared-memory.ts';
import { serviceCalls } from '../calls/transport.ts';
import type { Transport } from '../calls/transport.ts';
import { waitForAll } from './object-wait.ts';
import type { WaitOptions, WaitResult } from './object-wait.ts';

const MIB = 1024 * 1024;
/** Objects up to this size ride in the call that publishes them. */
const INLINE_BYTES = 64 * 1024;
/** Attempts to read an object that is moved each time. */
const READ_ATTEMPTS = 4;

export interface ObjectStoreOptions {
  /** Who owns what this process puts: actor id and incarnation, as `trainer/1`. */
  readonly owner: string;
  /** host:port of this process's node. */
  readonly nodeAddress: string;
  readonly transport: Transport;
  readonly registry: Registry;
  /** Most bytes of own puts and gets kept in the process; 64 MiB by default. */
  readonly cacheBytes?: number;
}

export interface PutOptions {
  /** Whether it is freed with this process, or lives until it is freed or the node ends; `actor` by default. */
  readonly owner?: 'actor' | 'node';
  /** Its SHA-256 in lower-case hex, where the caller has made it already; a wrong one is noticed by other nodes. */
  readonly digest?: string;
}

interface Home {
  readonly nodeId: string;
  readonly session: number;
  readonly folder: string;
}

interface Publication {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly owner: string;
  readonly known: string | undefined;
}

interface Read {
  readonly bytes: Promise<Uint8Array>;
  readonly controller: AbortController;
  waiters: number;
}

export class ObjectStore {
  readonly #options: ObjectStoreOptions;
  readonly #node: Calls<ObjectServiceClient>;
  readonly #cache: ByteCache;
  readonly #reads = new Map<string, Read>(); // by id and digest
  readonly #metrics: ProcessObjectMetrics;
  #home: Promise<Home> | null = null;
  #count = 0;

  constructor(options: ObjectStoreOptions) {
    this.#options = options;
    this.#node = serviceCalls(objectService, options.transport, options.nodeAddress);
    this.#cache = new ByteCache(options.cacheBytes ?? 64 * MIB);
    this.#metrics = new ProcessObjectMetrics(options.registry);
  }

  /**
   * Keeps bytes until they are freed or their owner ends.
   * @throws ObjectError RESOURCE_EXHAUSTED when they do not fit, naming use and limit.
   */
  async put(bytes: Uint8Array, { owner = 'actor', digest: known }: PutOptions = {}): Promise<ObjectRef> {
    checkPut(bytes, owner, known);
    const { nodeId, session } = await this.#join();
    const id = `${nodeId}/${this.#options.owner}/${session}-${++this.#count}`;
    const ownerId = owner === 'node' ? NODE_OWNER : this.#options.owner;
    try {
      const digest = await this.#publish({ id, bytes, owner: ownerId, known });
      this.#cache.set(digest, bytes);
      this.#metrics.put(bytes.byteLength);
      return { id, sizeBytes: bytes.byteLength, digest, holders: [this.#options.nodeAddress] };
    } catch (thrown) {
      this.#metrics.failed('put', thrown);
      throw asObjectError(id, thrown);
    }
  }

  /**
   * The bytes of a ref: those this process put or got lately, else from a file of this node, else from another node.
   * Simultaneous gets of one object share the work. Default deadline: a minute.
   * @throws ObjectError NOT_FOUND, UNAVAILABLE, RESOURCE_EXHAUSTED or DATA_LOSS, naming each node tried; the signal's
   * reason.
   */
  async get(ref: ObjectRef, options: CallOptions = {}): Promise<Uint8Array> {
    checkRef(ref);
    options.signal?.throwIfAborted();
    const here = this.#cache.get(ref.digest);
    if (here !== undefined) {
      this.#metrics.got('memory', here.byteLength);
      return here;
    }
    const deadlineMs = effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const read = this.#reads.get(readKey(ref)) ?? this.#begin(ref);
    read.waiters++;
    try {
      return await withLimits(read.bytes, { ...options, deadlineMs }, `get of ${ref.id}`);
    } catch (thrown) {
      this.#metrics.failed('get', thrown);
      throw options.signal?.aborted === true ? thrown : asObjectError(ref.id, thrown);
    } finally {
      if (--read.waiters === 0) this.#end(readKey(ref), read);
    }
  }

  /**
   * Brings objects to this node until `count` of them (by default all) are here, all have settled, or the deadline
   * passes, whichever is first. Never throws for an object: one that cannot be had is `failed`.
   */
  async wait(refs: readonly ObjectRef[], options: WaitOptions = {}): Promise<WaitResult> {
    checkRefs(refs);
    return waitForAll(refs, (ref, signal) => this.#bring(ref, signal), options);
  }

  /** Frees objects wherever they are held. Nodes that are gone have freed them already. */
  async free(refs: readonly ObjectRef[], options: CallOptions = {}): Promise<void> {
    checkRefs(refs);
    for (const { digest } of refs) this.#cache.delete(digest);
    const holders = new Set(refs.flatMap((ref) => ref.holders));
    const requests = [...holders].map((holder) => {
      const ids = refs.filter((ref) => ref.holders.includes(holder)).map(({ id }) => id);
      return serviceCalls(objectService, this.#options.transport, holder).free({ ids }, options);
    });
    for (const result of await Promise.allSettled(requests)) {
      if (result.status === 'fulfilled') continue;
      const isGone = result.reason instanceof CallError && result.reason.code === 'UNAVAILABLE';
      if (!isGone) throw result.reason;
    }
  }

  /**
   * Gives objects another owner: a process of the node where they were put, as `trainer/1`, or `node`, which keeps them
   * until they are freed. @throws CallError NOT_FOUND, or FAILED_PRECONDITION when that process has ended.
   */
  async handOver(refs: readonly ObjectRef[], toOwner: string, options: CallOptions = {}): Promise<void> {
    checkRefs(refs);
    const originOf = (ref: ObjectRef) => ref.holders[0] ?? this.#options.nodeAddress;
    for (const origin of new Set(refs.map(originOf))) {
      const ids = refs.filter((ref) => originOf(ref) === origin).map(({ id }) => id);
      await serviceCalls(objectService, this.#options.transport, origin).handOver(
        { ids, owner: toOwner },
        options,
      );
    }
  }

  #join(): Promise<Home> {
    this.#home ??= this.#node.join({ owner: this.#options.owner }).catch((thrown: unknown) => {
      this.#home = null;
      throw thrown;
    });
    return this.#home;
  }

  async #publish({ id, bytes, owner, known }: Publication): Promise<string> {
    const { byteLength: sizeBytes } = bytes;
    if (sizeBytes <= INLINE_BYTES) {
      const digest = known ?? (await digestOf(bytes));
      await this.#node.seal({ object: { id, sizeBytes, digest }, owner, content: bytes });
      return digest;
    }
    const { path } = await this.#node.reserve({ id, sizeBytes, owner });
    try {
      const [, digest] = await Promise.all([writeWhole(path, bytes), known ?? digestOf(bytes)]);
      await this.#node.seal({ object: { id, sizeBytes, digest }, owner });
      return digest;
    } catch (thrown) {
      await this.#node.free({ ids: [id] }).catch(() => undefined); // the node is gone, or has dropped it by itself
      throw thrown;
    }
  }

  #begin(ref: ObjectRef): Read {
    const controller = new AbortController();
    const read: Read = { bytes: this.#read(ref, controller.signal), controller, waiters: 0 };
    this.#reads.set(readKey(ref), read);
    return read;
  }

  #end(key: string, read: Read): void {
    read.controller.abort(new CallError('CANCELLED', 'nobody waits any more'));
    if (this.#reads.get(key) === read) this.#reads.delete(key);
  }

  async #read(ref: ObjectRef, signal: AbortSignal): Promise<Uint8Array> {
    const { folder } = await this.#join();
    const found = await readSealed(join(folder, fileNameOf(ref)), ref.sizeBytes);
    const { bytes, source } =
      found === null ? await this.#readLocated(ref, signal) : { bytes: found, source: 'shm' as const };
    this.#metrics.got(source, bytes.byteLength);
    this.#cache.set(ref.digest, bytes);
    return bytes;
  }

  /** Reads an object that the node finds, or brings, and pins meanwhile. */
  async #readLocated(ref: ObjectRef, signal: AbortSignal): Promise<{ bytes: Uint8Array; source: GetSource }> {
    const { owner } = this.#options;
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      const { path, source } = await this.#node.locate(
        { object: ref, owner },
        { signal, deadlineMs: Infinity },
      );
      const bytes = await readSealed(path, ref.sizeBytes).finally(() => this.#unpin(ref.id));
      if (bytes !== null) return { bytes, source: SOURCES[source] };
    }
    throw new ObjectError('DATA_LOSS', ref.id, `its file is gone, or has not its ${ref.sizeBytes} bytes`);
  }

  #unpin(id: string): void {
    // Should the node never hear it, the pin ends with this process.
    void this.#node.unpin({ id, owner: this.#options.owner }).catch(() => undefined);
  }

  async #bring(ref: ObjectRef, signal: AbortSignal): Promise<void> {
    if (this.#cache.get(ref.digest) !== undefined) return;
    const { folder } = await this.#join();
    try {
      await access(join(folder, fileNameOf(ref)));
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
      await this.#node.locate({ object: ref, owner: this.#options.owner }, { signal, deadlineMs: Infinity });
      this.#unpin(ref.id);
    }
  }
}

/** @throws UserError for what cannot be put. */
function checkPut(bytes: Uint8Array, owner: unknown, digest: string | undefined): void {
  if (!(bytes instanceof Uint8Array))
    throw new UserError(
      `put of ${shown(bytes)}: give it bytes (a Uint8Array); \`ballast.put\` takes any value.`,
    );
  if (owner !== 'actor' && owner !== 'node')
    throw new UserError(`put, owner = ${shown(owner)}: choose 'actor' or 'node'.`);
  if (digest !== undefined && !isDigest(digest))
    throw new UserError(`put, digest = ${shown(digest)}: it must be a SHA-256 in lower-case hex.`);
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

/** A failure as one of the object, whichever process noticed it. */
function asObjectError(id: string, thrown: unknown): Error {
  if (thrown instanceof ObjectError) return thrown;
  const prefix = `Object ${id}: `;
  if (thrown instanceof CallError) {
    const message = thrown.message.startsWith(prefix) ? thrown.message.slice(prefix.length) : thrown.message;
    return new ObjectError(thrown.code, id, message, { cause: thrown });
  }
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `the folder of the node's store is full: ${toError(thrown).message}`;
    return new ObjectError('RESOURCE_EXHAUSTED', id, message, { cause: thrown });
  }
  return toError(thrown);
}
