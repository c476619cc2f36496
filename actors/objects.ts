/**
 * Bulk data by reference. `put` keeps bytes in this process and returns a ref that rides in messages; whoever needs the
 * bytes pulls them from a holder, as its gRPC client, and verifies them. Nothing is ever pushed.
 *
 * Bytes are shared, not copied: neither who puts nor who pulls may change them afterwards.
 */

import type { Registry } from 'prom-client';
import type { ObjectServiceHandlers } from '../gen/ballast/runtime/v1/ObjectService.ts';
import { ByteCache } from './byte-cache.ts';
import { CallError } from './call-errors.ts';
import type { ChannelPool } from './channels.ts';
import { DEFAULT_DEADLINE_MS } from './call-scope.ts';
import { plainCalls } from './channels.ts';
import type { ActorEnvironment } from './actor-environment.ts';
import { serviceCalls } from './transport.ts';
import type { Transport } from './transport.ts';
import { withLimits } from './limits.ts';
import { ObjectMetrics } from './object-metrics.ts';
import { assemble, chunksOf, ObjectError, sha256Hex } from './object-transfer.ts';
import type { ObjectRef } from './object-transfer.ts';
import type { CallOptions, Implementation } from './protos.ts';
import { objectService } from './runtime-services.ts';
import type { CallContext } from './dispatcher.ts';

const MIB = 1024 * 1024;

export interface ObjectStoreOptions {
  /** Prefix of ids; names the process, incarnation included, so that a successor never answers for it. */
  readonly owner: string;
  /** host:port that serves this store. */
  readonly address: string;
  readonly pool: ChannelPool;
  readonly registry: Registry;
  /** Most bytes put at a time; 1 GiB by default. */
  readonly capacityBytes?: number;
  /** Most bytes kept of what was pulled; 256 MiB by default. */
  readonly cacheBytes?: number;
}

interface Transfer {
  readonly bytes: Promise<Uint8Array>;
  readonly controller: AbortController;
  waiters: number;
}

async function* chunksIn(messages: AsyncIterable<{ chunk: Uint8Array }>) {
  for await (const { chunk } of messages) yield chunk;
}

export class ObjectStore {
  readonly #options: ObjectStoreOptions;
  readonly #capacityBytes: number;
  readonly #objects = new Map<string, Uint8Array>();
  readonly #cache: ByteCache;
  readonly #transfers = new Map<string, Transfer>(); // by digest
  readonly #metrics: ObjectMetrics;
  #sizeBytes = 0;
  #count = 0;

  constructor(options: ObjectStoreOptions) {
    this.#options = options;
    this.#capacityBytes = options.capacityBytes ?? 1024 * MIB;
    this.#cache = new ByteCache(options.cacheBytes ?? 256 * MIB);
    this.#metrics = new ObjectMetrics(options.registry, () => ({
      storedBytes: this.#sizeBytes,
      storedObjects: this.#objects.size,
      cachedBytes: this.#cache.sizeBytes,
    }));
  }

  /** Keeps bytes until they are freed. @throws ObjectError RESOURCE_EXHAUSTED when they do not fit. */
  put(bytes: Uint8Array): Promise<ObjectRef> {
    return new Promise((resolve) => {
      const id = `${this.#options.owner}/${++this.#count}`;
      const freeBytes = this.#capacityBytes - this.#sizeBytes;
      if (bytes.byteLength > freeBytes) {
        const use = `${freeBytes} of ${this.#capacityBytes} bytes are free in ${this.#objects.size} objects' store`;
        throw new ObjectError(
          'RESOURCE_EXHAUSTED',
          id,
          `${bytes.byteLength} bytes do not fit: ${use}; free some first`,
        );
      }
      this.#objects.set(id, bytes);
      this.#sizeBytes += bytes.byteLength;
      const { address } = this.#options;
      resolve({ id, sizeBytes: bytes.byteLength, digest: sha256Hex(bytes), holders: [address] });
    });
  }

  /**
   * The bytes of a ref: from this store, from what was pulled before, else from the first holder that gives them
   * whole. Simultaneous pulls of one digest share a transfer. Default deadline: a minute.
   * @throws ObjectError NOT_FOUND, UNAVAILABLE or DATA_LOSS, naming each holder tried; the signal's reason.
   */
  async pull(ref: ObjectRef, options: CallOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const here = this.#objects.get(ref.id) ?? this.#cache.get(ref.digest);
    if (here !== undefined) {
      this.#metrics.hit();
      return here;
    }
    const transfer = this.#transfers.get(ref.digest) ?? this.#begin(ref);
    transfer.waiters++;
    try {
      return await withLimits(
        transfer.bytes,
        { deadlineMs: DEFAULT_DEADLINE_MS, ...options },
        `pull of ${ref.id}`,
      );
    } finally {
      if (--transfer.waiters === 0) this.#end(ref.digest, transfer);
    }
  }

  /** Frees objects wherever they are held. Holders that are gone have freed them already. */
  async free(refs: readonly ObjectRef[], options: CallOptions = {}): Promise<void> {
    const remote = new Map<string, string[]>();
    for (const ref of refs) {
      for (const holder of ref.holders) {
        if (holder === this.#options.address) this.#freeOwn([ref.id]);
        else remote.set(holder, [...(remote.get(holder) ?? []), ref.id]);
      }
    }
    const requests = [...remote].map(([holder, ids]) =>
      serviceCalls(objectService, this.#options.pool, holder).free({ ids }, options),
    );
    for (const result of await Promise.allSettled(requests)) {
      if (result.status === 'fulfilled') continue;
      const isGone = result.reason instanceof CallError && result.reason.code === 'UNAVAILABLE';
      if (!isGone) throw result.reason;
    }
  }

  /** Serves this store to other processes. */
  handlers(): Implementation<ObjectServiceHandlers, CallContext> {
    return {
      pull: ({ id }) => this.#serve(id),
      free: ({ ids }) => ({ freed: this.#freeOwn(ids) }),
    };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- backpressure is the server's
  async *#serve(id: string) {
    const bytes = this.#objects.get(id);
    if (bytes === undefined) throw new ObjectError('NOT_FOUND', id, 'it was freed, or its process restarted');
    for (const chunk of chunksOf(bytes)) {
      yield { chunk };
      this.#metrics.served(chunk.byteLength);
    }
  }

  #freeOwn(ids: readonly string[]): number {
    let freed = 0;
    for (const id of ids) {
      const bytes = this.#objects.get(id);
      if (bytes === undefined) continue;
      this.#objects.delete(id);
      this.#sizeBytes -= bytes.byteLength;
      freed++;
    }
    return freed;
  }

  #begin(ref: ObjectRef): Transfer {
    const controller = new AbortController();
    const transfer: Transfer = { bytes: this.#fetch(ref, controller.signal), controller, waiters: 0 };
    this.#transfers.set(ref.digest, transfer);
    return transfer;
  }

  #end(digest: string, transfer: Transfer): void {
    transfer.controller.abort();
    if (this.#transfers.get(digest) === transfer) this.#transfers.delete(digest);
  }

  async #fetch(ref: ObjectRef, signal: AbortSignal): Promise<Uint8Array> {
    const failures: CallError[] = [];
    for (const holder of ref.holders) {
      try {
        const bytes = await this.#metrics.time(ref.sizeBytes, () => this.#fetchFrom(holder, ref, signal));
        this.#cache.set(ref.digest, bytes);
        return bytes;
      } catch (thrown) {
        if (signal.aborted || !(thrown instanceof CallError)) throw thrown;
        failures.push(thrown);
      }
    }
    const tried = failures.map((failure, index) => `${ref.holders[index]}: ${failure.message}`).join('; ');
    const code = failures.at(-1)?.code ?? 'NOT_FOUND';
    throw new ObjectError(code, ref.id, tried === '' ? 'its reference names no holder' : tried);
  }

  #fetchFrom(holder: string, ref: ObjectRef, signal: AbortSignal): Promise<Uint8Array> {
    const calls = plainCalls(objectService, this.#options.pool, holder);
    return assemble(ref, chunksIn(calls.pull({ id: ref.id }, { signal, deadlineMs: Infinity })));
  }
}

/** The object store of an actor in a thread. */
export function threadObjects(
  environment: ActorEnvironment,
  transport: Transport,
  registry: Registry,
): ObjectStore {
  throw new Error(`not yet ${environment.actorId} ${typeof transport} ${typeof registry}`);
}
