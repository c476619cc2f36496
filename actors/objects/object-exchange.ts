/**
 * Objects between nodes. It receives the objects that processes of this node request, once for all of them; sends
 * objects that this node holds or is receiving; and, for objects put here, decides who sends to whom
 * (broadcast-plan.ts).
 */

import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../common/errors.ts';
import { assign, type Broadcast, finish, newBroadcast } from './broadcast-plan.ts';
import { CallError } from '../base/call-errors.ts';
import { withLimits } from '../base/limits.ts';
import { type ChannelPool, plainCalls } from '../calls/channels.ts';
import { serviceCalls } from '../calls/transport.ts';
import { NODE_OWNER, type ObjectDirectory } from './object-directory.ts';
import type { NodeObjectMetrics } from './object-metrics.ts';
import { ObjectError, type ObjectRef, wrongDigest } from './object-ref.ts';
import type { ObjectRoom } from './object-room.ts';
import { chunksOf, digestOfFile, Progress, receive, type Sources } from './object-transfer.ts';
import { objectService } from '../proto/runtime-services.ts';
import type { StoreFiles } from './shared-memory.ts';

/** An upload slot is reassigned when the receiver has not reported its end within this time. */
const LEASE_MS = 10_000;
/** Additional time per byte: ten megabytes a second. */
const LEASE_MS_PER_BYTE = 1e-4;
/** Attempts to reach an origin when no other holder is known. */
const ORIGIN_ATTEMPTS = 3;
const ORIGIN_DELAY_MS = 100;
const NOTICE_DEADLINE_MS = 5000;

export interface ExchangeOptions {
  /** host:port of this node. */
  readonly address: string;
  readonly pool: ChannelPool;
  readonly directory: ObjectDirectory;
  readonly files: StoreFiles;
  readonly room: ObjectRoom;
  readonly metrics: NodeObjectMetrics;
  readonly uploadsPerNode: number;
  readonly nowMs: () => number;
}

interface Transfer {
  readonly ref: ObjectRef;
  readonly controller: AbortController;
  readonly progress: Progress;
  path: string;
  done: Promise<void>;
  waiters: number;
}

export class ObjectExchange {
  readonly #options: ExchangeOptions;
  readonly #transfers = new Map<string, Transfer>(); // by object id
  readonly #broadcasts = new Map<string, Broadcast>(); // by object id
  readonly #digests = new Map<string, Promise<string>>(); // by object id, for references without a digest
  #pulls = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /**
   * Brings an object to this node; simultaneous calls share a transfer, which ends when nobody waits for it. @throws
   * ObjectError
   */
  async fetch(ref: ObjectRef, signal: AbortSignal): Promise<void> {
    let transfer = this.#transfers.get(ref.id);
    while (transfer?.controller.signal.aborted === true) {
      await transfer.done.catch(() => undefined);
      transfer = this.#transfers.get(ref.id);
    }
    transfer ??= this.#begin(ref);
    if (transfer.ref.digest !== ref.digest) throw wrongDigest(ref.id, transfer.ref.digest, ref.digest);
    transfer.waiters++;
    try {
      await withLimits(transfer.done, { deadlineMs: Infinity, signal }, `object ${ref.id}`);
    } finally {
      if (--transfer.waiters === 0)
        transfer.controller.abort(new CallError('CANCELLED', 'nobody waits any more'));
    }
  }

  /** Ends the transfer of an object that is gone from here. Returns the nodes known to have copies. */
  forget(id: string): string[] {
    this.#transfers.get(id)?.controller.abort(new ObjectError('NOT_FOUND', id, 'it was freed'));
    this.#digests.delete(id);
    const broadcast = this.#broadcasts.get(id);
    this.#broadcasts.delete(id);
    return broadcast === undefined ? [] : [...broadcast.holders, ...broadcast.receiving.keys()];
  }

  /**
   * The node from which `receiver` shall pull. @throws ObjectError NOT_FOUND, DATA_LOSS, or UNAVAILABLE when all have
   * failed.
   */
  findSource(ref: ObjectRef, receiver: string, failed: readonly string[]): string {
    const { directory, address, nowMs, uploadsPerNode } = this.#options;
    const held = directory.get(ref.id);
    if (held === undefined)
      throw new ObjectError('NOT_FOUND', ref.id, 'it was freed, or its owner has ended');
    if (held.ref.digest !== ref.digest) throw wrongDigest(ref.id, held.ref.digest, ref.digest);
    const broadcast = this.#broadcasts.get(ref.id) ?? newBroadcast(address);
    this.#broadcasts.set(ref.id, broadcast);
    const leaseMs = LEASE_MS + held.ref.sizeBytes * LEASE_MS_PER_BYTE;
    const source = assign(broadcast, { receiver, failed, nowMs: nowMs(), leaseMs }, uploadsPerNode);
    if (source === null) throw new ObjectError('UNAVAILABLE', ref.id, 'no other node holds it');
    void this.digest(ref.id).catch(() => undefined); // computed while the bytes travel; the receiver asks for it, too
    return source;
  }

  /**
   * SHA-256 of an object that is here or arriving: the one in its reference, otherwise computed once. @throws
   * ObjectError
   */
  async digest(id: string): Promise<string> {
    await this.#transfers.get(id)?.done;
    const held = this.#options.directory.get(id);
    if (held === undefined) throw new ObjectError('NOT_FOUND', id, 'it was freed, or its owner has ended');
    if (held.ref.digest !== '') return held.ref.digest;
    const digest = this.#digests.get(id) ?? this.#makeDigest(id, held.ref.sizeBytes);
    this.#digests.set(id, digest);
    return digest;
  }

  /** Other nodes known to hold the whole object. */
  holders(id: string): string[] {
    return [...(this.#broadcasts.get(id)?.holders ?? [])];
  }

  /** Records that a receiver has finished. */
  report(id: string, receiver: string, isHolder: boolean): void {
    const broadcast = this.#broadcasts.get(id);
    if (broadcast !== undefined) finish(broadcast, receiver, isHolder);
  }

  /** An object's bytes from `offset` on; of an object in transfer, as they arrive. @throws ObjectError */
  async *serve(id: string, digest: string, offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { directory } = this.#options;
    const borrower = `pull ${++this.#pulls}`;
    directory.pin(id, borrower);
    let file: FileHandle | null = null;
    try {
      const { ref, progress } = this.#source(id, digest);
      let position = offset;
      while (position < ref.sizeBytes) {
        const end = progress === null ? ref.sizeBytes : await progress.beyond(position);
        file ??= await this.#open(id, digest);
        for await (const chunk of chunksOf(file, position, end)) {
          yield chunk;
          position += chunk.byteLength;
          this.#options.metrics.sent(chunk.byteLength);
        }
      }
    } finally {
      directory.unpin(id, borrower);
      await file?.close();
    }
  }

  async #makeDigest(id: string, sizeBytes: number): Promise<string> {
    const { directory } = this.#options;
    const borrower = `digest ${++this.#pulls}`;
    directory.pin(id, borrower);
    try {
      const file = await this.#open(id, '');
      try {
        return await digestOfFile(file, sizeBytes);
      } finally {
        await file.close();
      }
    } catch (thrown) {
      this.#digests.delete(id);
      throw thrown;
    } finally {
      directory.unpin(id, borrower);
    }
  }

  #source(id: string, digest: string): Pick<Transfer, 'ref'> & { progress: Progress | null; path: string } {
    const { directory, files } = this.#options;
    const held = directory.get(id);
    const transfer = this.#transfers.get(id);
    const source = held ?? transfer;
    if (source === undefined) throw new ObjectError('NOT_FOUND', id, 'it was freed, or its owner has ended');
    if (source.ref.digest !== digest) throw wrongDigest(id, source.ref.digest, digest);
    if (held === undefined) return transfer!;
    const path = held.place === 'memory' ? files.path(held.ref) : files.spillPath(held.ref);
    return { ref: { ...held.ref, holders: [] }, progress: null, path };
  }

  /** Opens an object's file, which is renamed when a transfer ends. */
  async #open(id: string, digest: string): Promise<FileHandle> {
    const { path } = this.#source(id, digest);
    try {
      return await open(path, 'r');
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
      return open(this.#source(id, digest).path, 'r');
    }
  }

  #begin(ref: ObjectRef): Transfer {
    const transfer: Transfer = {
      ref,
      controller: new AbortController(),
      progress: new Progress(),
      path: '',
      done: Promise.resolve(),
      waiters: 0,
    };
    this.#transfers.set(ref.id, transfer);
    transfer.done = this.#run(transfer);
    transfer.done.catch(() => undefined); // waiters receive it, if there are any left
    return transfer;
  }

  async #run(transfer: Transfer): Promise<void> {
    const { room, files, directory, metrics, nowMs } = this.#options;
    const { ref, progress, controller } = transfer;
    const origin = new OriginSources(ref, controller.signal, this.#options);
    let isReserved = false;
    try {
      const startMs = performance.now();
      transfer.path = await room.reserve({ id: ref.id, sizeBytes: ref.sizeBytes, owner: NODE_OWNER });
      isReserved = true;
      controller.signal.throwIfAborted();
      const onFailure = ({ code }: CallError) => metrics.failed(code);
      const shared = { ref, path: transfer.path, progress, signal: controller.signal };
      const { digest, hashMs } = await receive({ ...shared, sources: origin, onFailure });
      controller.signal.throwIfAborted();
      files.seal(transfer.path, ref);
      directory.seal(ref, 'secondary', NODE_OWNER, nowMs());
      this.#digests.set(ref.id, Promise.resolve(digest));
      metrics.received(ref.sizeBytes, (performance.now() - startMs) / 1000, hashMs / 1000);
    } catch (thrown) {
      progress.fail(new ObjectError('UNAVAILABLE', ref.id, 'this node could not receive it itself'));
      if (isReserved) room.drop(ref.id);
      if (isReserved) files.discard(files.path(ref));
      throw thrown;
    } finally {
      this.#transfers.delete(ref.id);
      origin.report(directory.get(ref.id) !== undefined);
    }
  }
}

/** Asks an object's origin for sources; falls back to the other holders that its reference names. */
class OriginSources implements Sources {
  readonly #ref: ObjectRef;
  readonly #signal: AbortSignal;
  readonly #options: Pick<ExchangeOptions, 'address' | 'pool'>;
  readonly #origin: string | null;
  readonly #others: string[];
  #wasAssigned = false;

  constructor(ref: ObjectRef, signal: AbortSignal, options: Pick<ExchangeOptions, 'address' | 'pool'>) {
    this.#ref = ref;
    this.#signal = signal;
    this.#options = options;
    const [first = null, ...others] = ref.holders;
    this.#origin = first === options.address ? null : first;
    this.#others = others.filter((holder) => holder !== options.address);
  }

  async next(failed: ReadonlySet<string>): Promise<string> {
    const other = this.#others.find((holder) => !failed.has(holder));
    let refusal: Error = new ObjectError('NOT_FOUND', this.#ref.id, 'it was freed, or its owner has ended');
    for (let attempt = 1; this.#origin !== null && attempt <= ORIGIN_ATTEMPTS; attempt++) {
      try {
        return await this.#ask(this.#origin, failed);
      } catch (thrown) {
        this.#signal.throwIfAborted();
        if (!(thrown instanceof CallError)) throw thrown;
        const message = `its origin ${this.#origin} answered: ${thrown.message}`;
        refusal = new ObjectError(thrown.code, this.#ref.id, message, { cause: thrown });
        if (other !== undefined || thrown.code !== 'UNAVAILABLE' || failed.size > 0) break;
        if (attempt < ORIGIN_ATTEMPTS)
          await delay(ORIGIN_DELAY_MS * attempt, undefined, { signal: this.#signal });
      }
    }
    if (other === undefined) throw refusal;
    return other;
  }

  async *pull(source: string, offset: number): AsyncGenerator<{ chunk: Uint8Array }, void, undefined> {
    const { id, digest } = this.#ref;
    const limits = { signal: this.#signal, deadlineMs: Infinity };
    yield* plainCalls(objectService, this.#options.pool, source).pull({ id, digest, offset }, limits);
  }

  /** The origin's answer, or that of another holder. */
  async digest(): Promise<string> {
    const asked = [...(this.#origin === null ? [] : [this.#origin]), ...this.#others];
    let failure: unknown = new ObjectError('UNAVAILABLE', this.#ref.id, 'no node can tell its SHA-256');
    for (const holder of asked) {
      try {
        const limits = { signal: this.#signal, deadlineMs: Infinity };
        const { pool } = this.#options;
        return (await serviceCalls(objectService, pool, holder).digest({ id: this.#ref.id }, limits)).digest;
      } catch (thrown) {
        this.#signal.throwIfAborted();
        failure = thrown;
      }
    }
    throw failure;
  }

  /** Reports the outcome to the origin. If the origin cannot be reached, the lease expires by itself. */
  report(isHolder: boolean): void {
    if (this.#origin === null || !this.#wasAssigned) return;
    const { pool, address } = this.#options;
    void serviceCalls(objectService, pool, this.#origin)
      .report({ id: this.#ref.id, receiver: address, isHolder }, { deadlineMs: NOTICE_DEADLINE_MS })
      .catch(() => undefined);
  }

  async #ask(origin: string, failed: ReadonlySet<string>): Promise<string> {
    const { pool, address } = this.#options;
    const request = { object: this.#ref, receiver: address, failed: [...failed] };
    const options = { signal: this.#signal, deadlineMs: NOTICE_DEADLINE_MS };
    const { source } = await serviceCalls(objectService, pool, origin).findSource(request, options);
    this.#wasAssigned = true;
    return source;
  }
}
