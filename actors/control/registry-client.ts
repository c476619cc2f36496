/**
 * A registry on a store: it checks arguments, sets deadlines, keeps leases alive, resumes watches, and counts
 * operations.
 */

import { setMaxListeners } from 'node:events';
import type { Registry as PrometheusRegistry } from 'prom-client';
import { CallError } from '../base/call-errors.ts';
import { checkMilliseconds } from '../base/checks.ts';
import { type Clock, sleep, systemClock } from '../base/clock.ts';
import { HeldLease } from './lease.ts';
import { joinSignals, withLimits } from '../base/limits.ts';
import { checkKey, checkLeaseOptions, checkPrefix, encodeValue, RevisionConflict } from './registry.ts';
import type { JsonObject, Lease, LeaseOptions, Registry, RegistryChange, WriteOptions } from './registry.ts';
import { RegistryMetrics } from './registry-metrics.ts';
import type { RegistryStore, WriteCondition, WriteResult } from './registry-store.ts';
import { resumedWatch } from './registry-watch.ts';
import { retryDelayMs } from '../base/retry.ts';

export interface RegistryOptions {
  /** Maximum duration of an operation, milliseconds; 5000 by default. */
  readonly deadlineMs?: number;
  /** Destination of metrics; none by default. */
  readonly metrics?: PrometheusRegistry;
  readonly clock?: Clock;
}

const DEADLINE_MS = 5000;
/** Releases the remaining leases when the registry closes. */
const CLOSE_DEADLINE_MS = 1000;

class StoreRegistry implements Registry {
  readonly #store: RegistryStore;
  readonly #deadlineMs: number;
  readonly #clock: Clock;
  readonly #metrics: RegistryMetrics | null;
  readonly #leases = new Set<HeldLease>();
  readonly #closing = new AbortController();
  #lastToken = 0;

  constructor(store: RegistryStore, options: RegistryOptions) {
    this.#store = store;
    setMaxListeners(0, this.#closing.signal); // every operation adds a listener
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    checkMilliseconds('Registry, deadlineMs', this.#deadlineMs);
    this.#clock = options.clock ?? systemClock;
    this.#metrics = options.metrics === undefined ? null : RegistryMetrics.of(options.metrics);
  }

  get(key: string) {
    return this.#run('get', () => {
      checkKey(key);
      return this.#store.get(key, this.#deadlineMs);
    });
  }

  list(prefix: string) {
    return this.#run('list', () => {
      checkPrefix(prefix);
      return this.#store.list(prefix, this.#deadlineMs);
    });
  }

  create(key: string, value: JsonObject, options: WriteOptions = {}) {
    return this.#run('create', async () => {
      const { isDone, revision } = await this.#write(key, value, { kind: 'absent' }, options);
      if (isDone) return revision;
      throw new CallError('ALREADY_EXISTS', `Registry key '${key}' has an entry, of revision ${revision}`);
    });
  }

  put(key: string, value: JsonObject, options: WriteOptions = {}) {
    return this.#run('put', async () => {
      const result = await this.#write(key, value, { kind: 'any' }, options);
      return revisionOf(key, result);
    });
  }

  update(key: string, value: JsonObject, revision: number, options: WriteOptions = {}) {
    return this.#run('update', async () => {
      const result = await this.#write(key, value, { kind: 'revision', revision }, options);
      return revisionOf(key, result);
    });
  }

  remove(key: string, { revision = 0 }: { readonly revision?: number } = {}) {
    return this.#run('remove', async () => {
      checkKey(key);
      revisionOf(key, await this.#store.remove(key, revision, this.#deadlineMs));
    });
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<RegistryChange> {
    checkPrefix(prefix);
    return this.#watch(prefix, signal);
  }

  grantLease(options: LeaseOptions): Promise<Lease> {
    return this.#run('grant', async () => {
      checkLeaseOptions(options);
      const sentMs = this.#clock.monotonicMs();
      const request = { ...options, aboveToken: this.#lastToken };
      const grant = await this.#store.grant(request, this.#deadlineMs);
      this.#lastToken = Math.max(this.#lastToken, grant.fencingToken);
      const lease = new HeldLease(this.#keeper(), options, grant, sentMs);
      this.#leases.add(lease);
      this.#metrics?.granted();
      return lease;
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    await Promise.allSettled([...this.#leases].map((lease) => lease.release()));
    this.#closing.abort(new CallError('UNAVAILABLE', 'The registry is closed'));
    await this.#store.close();
  }

  #keeper() {
    return {
      clock: this.#clock,
      renew: (leaseId: string, deadlineMs: number) =>
        this.#run('renew', () => this.#store.renew(leaseId, deadlineMs), deadlineMs),
      release: (leaseId: string) =>
        this.#run('release', () => this.#store.release(leaseId, CLOSE_DEADLINE_MS), CLOSE_DEADLINE_MS),
      onEnd: (lease: HeldLease, wasReleased: boolean) => {
        this.#leases.delete(lease);
        this.#metrics?.ended(wasReleased);
      },
    };
  }

  /** Writes, and succeeds only if the lease was still held when the answer arrived. */
  async #write(key: string, value: JsonObject, condition: WriteCondition, { lease }: WriteOptions) {
    checkKey(key);
    encodeValue(key, value);
    throwIfLost(lease);
    const request = { key, value, condition, leaseId: lease?.id ?? null };
    const result = await this.#store.write(request, this.#deadlineMs);
    throwIfLost(lease);
    return result;
  }

  async *#watch(prefix: string, signal: AbortSignal): AsyncGenerator<RegistryChange, void, undefined> {
    const joined = joinSignals([signal, this.#closing.signal]);
    const open = () => this.#store.watch(prefix, joined.signal);
    const pause = (attempt: number) =>
      sleep(this.#clock, retryDelayMs(attempt, Math.random()), joined.signal);
    try {
      yield* resumedWatch(open, pause, joined.signal);
    } finally {
      joined.release();
    }
  }

  /**
   * Runs and counts one operation within its deadline; a deadline that passes means that the registry is unreachable.
   */
  #run<T>(kind: string, operation: () => Promise<T>, deadlineMs = this.#deadlineMs): Promise<T> {
    const limits = { deadlineMs, signal: this.#closing.signal };
    const run = async () => {
      this.#closing.signal.throwIfAborted();
      try {
        return await withLimits(operation(), limits, `Registry ${kind}`);
      } catch (thrown) {
        throw thrown instanceof CallError && thrown.code === 'DEADLINE_EXCEEDED'
          ? new CallError('UNAVAILABLE', thrown.message, { cause: thrown })
          : thrown;
      }
    };
    return this.#metrics === null ? run() : this.#metrics.time(kind, run);
  }
}

function throwIfLost(lease: Lease | undefined): void {
  if (lease?.lost.aborted === true) throw lease.lost.reason;
}

function revisionOf(key: string, { isDone, revision }: WriteResult): number {
  if (isDone) return revision;
  throw new RevisionConflict(key, revision);
}

/** A registry on a store, which it closes when it is closed. */
export function openRegistry(store: RegistryStore, options: RegistryOptions = {}): Registry {
  return new StoreRegistry(store, options);
}
