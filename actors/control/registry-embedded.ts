/**
 * The embedded registry: a table in this process, for one machine. Every operation first expires leases whose time is
 * over; a timer does so for watchers. The table ends with its process, and announcers fill the next one.
 */

import { AsyncQueue } from '../base/async-queue.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { isExpired } from './lease.ts';
import { isFencedOff, type Registry, type RegistryChange, type RegistryEntry } from './registry.ts';
import { openRegistry, type RegistryOptions } from './registry-client.ts';
import { isMet, leaseLost } from './registry-store.ts';
import type { Grant, GrantRequest, RegistryStore, WriteRequest, WriteResult } from './registry-store.ts';

interface TableLease {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  readonly fencingToken: number;
  readonly keys: Set<string>;
  /** On the table's monotonic clock. */
  expiresAtMs: number;
}

interface Watcher {
  readonly prefix: string;
  readonly changes: AsyncQueue<RegistryChange>;
}

/** Leases that have expired. */
export function expiredLeases<T extends { readonly expiresAtMs: number }>(
  leases: Iterable<T>,
  nowMs: number,
): T[] {
  return [...leases].filter(({ expiresAtMs }) => isExpired(expiresAtMs, nowMs));
}

export class EmbeddedStore implements RegistryStore {
  readonly #clock: Clock;
  readonly #entries = new Map<string, RegistryEntry>();
  readonly #leases = new Map<string, TableLease>();
  readonly #watchers = new Set<Watcher>();
  /** Numbers writes and leases alike; registry.ts explains its start value. */
  #counter: number;
  #cancelTimer: () => void = () => undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#counter = clock.wallMs();
  }

  get(key: string): Promise<RegistryEntry | null> {
    this.#expire();
    return Promise.resolve(this.#entries.get(key) ?? null);
  }

  list(prefix: string): Promise<RegistryEntry[]> {
    this.#expire();
    return Promise.resolve(this.#present(prefix));
  }

  write(request: WriteRequest): Promise<WriteResult> {
    return new Promise((resolve) => resolve(this.#write(request)));
  }

  remove(key: string, revision: number): Promise<WriteResult> {
    this.#expire();
    const current = this.#entries.get(key)?.revision ?? 0;
    const isDone = revision === 0 || revision === current;
    if (isDone && current !== 0) this.#drop(key, 'removed');
    return Promise.resolve({ isDone, revision: isDone ? ++this.#counter : current });
  }

  /** Starts when it is called. */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RegistryChange> {
    this.#expire();
    const watcher: Watcher = { prefix, changes: new AsyncQueue() };
    for (const entry of this.#present(prefix)) watcher.changes.push({ type: 'put', entry });
    watcher.changes.push({ type: 'synced' });
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => this.#watchers.delete(watcher), { once: true });
    return this.#follow(watcher, signal);
  }

  grant({ name, ttlMs, aboveToken }: GrantRequest): Promise<Grant> {
    this.#expire();
    this.#counter = Math.max(this.#counter, aboveToken) + 1;
    const fencingToken = this.#counter;
    const id = `${fencingToken}`;
    const expiresAtMs = this.#clock.monotonicMs() + ttlMs;
    this.#leases.set(id, { id, name, ttlMs, fencingToken, keys: new Set(), expiresAtMs });
    this.#armTimer();
    return Promise.resolve({ leaseId: id, fencingToken });
  }

  renew(leaseId: string): Promise<boolean> {
    this.#expire();
    const lease = this.#leases.get(leaseId);
    if (lease !== undefined) lease.expiresAtMs = this.#clock.monotonicMs() + lease.ttlMs;
    return Promise.resolve(lease !== undefined);
  }

  release(leaseId: string): Promise<void> {
    this.#expire();
    const lease = this.#leases.get(leaseId);
    if (lease !== undefined) this.#end(lease, 'removed');
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#cancelTimer();
    for (const { changes } of this.#watchers) changes.close();
    this.#watchers.clear();
    return Promise.resolve();
  }

  async *#follow(watcher: Watcher, signal: AbortSignal): AsyncGenerator<RegistryChange, void, undefined> {
    try {
      yield* watcher.changes.iterate(signal);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  #write(request: WriteRequest): WriteResult {
    this.#expire();
    const { key, condition } = request;
    const lease = request.leaseId === null ? null : this.#leaseOf(request.leaseId);
    const present = this.#entries.get(key);
    const holder = this.#leases.get(present?.leaseId ?? '') ?? null;
    if (lease !== null && isFencedOff(lease, holder)) {
      throw leaseLost(lease.id, `a later lease of ${lease.name} holds '${key}'`);
    }
    const current = present?.revision ?? 0;
    if (!isMet(condition, current)) return { isDone: false, revision: current };
    return this.#store(request, lease, holder);
  }

  #leaseOf(leaseId: string): TableLease {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) throw leaseLost(leaseId, 'it expired, or was released');
    return lease;
  }

  #present(prefix: string): RegistryEntry[] {
    return [...this.#entries.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #store({ key, value }: WriteRequest, lease: TableLease | null, holder: TableLease | null): WriteResult {
    const revision = ++this.#counter;
    const entry = { key, value: structuredClone(value), revision, leaseId: lease?.id ?? null };
    holder?.keys.delete(key);
    lease?.keys.add(key);
    this.#entries.set(key, entry);
    this.#tell(key, { type: 'put', entry });
    return { isDone: true, revision };
  }

  #drop(key: string, type: 'removed' | 'expired'): void {
    const entry = this.#entries.get(key);
    this.#leases.get(entry?.leaseId ?? '')?.keys.delete(key);
    this.#entries.delete(key);
    this.#tell(key, { type, key });
  }

  #end(lease: TableLease, type: 'removed' | 'expired'): void {
    for (const key of lease.keys) this.#drop(key, type);
    this.#leases.delete(lease.id);
  }

  #expire(): void {
    const ended = expiredLeases(this.#leases.values(), this.#clock.monotonicMs());
    for (const lease of ended) this.#end(lease, 'expired');
  }

  /** Wakes at the next expiry; renewals in between only make it wake early. */
  #armTimer(): void {
    this.#cancelTimer();
    const nextMs = Math.min(...[...this.#leases.values()].map(({ expiresAtMs }) => expiresAtMs));
    if (nextMs === Infinity) return;
    this.#cancelTimer = this.#clock.after(nextMs - this.#clock.monotonicMs() + 1, () => {
      this.#expire();
      this.#armTimer();
    });
  }

  #tell(key: string, change: RegistryChange): void {
    for (const { prefix, changes } of this.#watchers) if (key.startsWith(prefix)) changes.push(change);
  }
}

/** A registry on a store in this process; pass `store` to serve the same store to others (registry-service.ts). */
export function openEmbeddedRegistry(
  options: RegistryOptions & { readonly store?: EmbeddedStore } = {},
): Registry {
  return openRegistry(options.store ?? new EmbeddedStore(options.clock), options);
}
