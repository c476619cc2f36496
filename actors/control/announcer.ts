/**
 * Keeps a set of entries in a registry for as long as this object lives. It holds them under a lease; if the lease is
 * lost because the registry lost its data, was unreachable too long, or this process was stopped, it takes a new lease
 * with a larger fencing token. If two announcers use one key, the later one to start announcing it keeps it.
 */

import { whenAborted } from '../../common/abort.ts';
import { toError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { type Clock, sleep, systemClock } from '../base/clock.ts';
import { joinSignals } from '../base/limits.ts';
import { checkKey, checkLeaseOptions, encodeValue, RevisionConflict } from './registry.ts';
import type { JsonObject, Lease, Registry, RegistryEntry } from './registry.ts';
import { retryDelayMs } from '../base/retry.ts';

export interface AnnouncerOptions {
  readonly registry: Registry;
  /** Of its leases. */
  readonly name: string;
  readonly ttlMs: number;
  /** The lease is lost; work that depends on it must stop. */
  readonly onLost?: (reason: Error) => void;
  /** After a loss everything is announced again. */
  readonly onRestored?: (fencingToken: number) => void;
  /** Someone else announced this key meanwhile; it is theirs now, and no longer kept here. */
  readonly onReplaced?: (key: string) => void;
  readonly clock?: Clock;
}

/**
 * How to announce a key, given the present entry. The first announcement takes the key over; later ones leave other
 * holders' entries alone.
 */
export function announceAction(
  present: RegistryEntry | null,
  ownLeaseIds: ReadonlySet<string>,
  wasAnnounced: boolean,
): 'create' | 'put' | 'update' | 'leave' {
  if (!wasAnnounced) return 'put';
  if (present === null) return 'create';
  return present.leaseId !== null && ownLeaseIds.has(present.leaseId) ? 'update' : 'leave';
}

interface Announced {
  value: JsonObject;
  /** Written under the present lease, with the present value. */
  isDone: boolean;
  /** Written at least once. */
  wasAnnounced: boolean;
}

export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Announced>();
  readonly #removals = new Set<string>();
  readonly #leaseIds = new Set<string>();
  readonly #closing = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly #running: Promise<void>;
  #changed = new AbortController();
  #lease: Lease | null = null;
  #wasLost = false;

  /** @throws UserError when a lease cannot have these options. */
  constructor(options: AnnouncerOptions) {
    checkLeaseOptions(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#running = this.#run();
  }

  /** The lease in force; null while there is none. */
  get lease(): Lease | null {
    return this.#lease?.lost.aborted === false ? this.#lease : null;
  }

  /** Announces an entry, now and after every loss. @throws UserError if it is invalid. */
  set(key: string, value: JsonObject): void {
    checkKey(key);
    encodeValue(key, value);
    const wasAnnounced = this.#entries.get(key)?.wasAnnounced ?? false;
    this.#entries.set(key, { value, isDone: false, wasAnnounced });
    this.#removals.delete(key);
    this.#changed.abort();
  }

  /** Removes an entry. */
  unset(key: string): void {
    if (this.#entries.delete(key)) this.#removals.add(key);
    this.#changed.abort();
  }

  /** Resolves when everything set so far is in the registry. @throws the signal's reason */
  announced(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#isSettled(), signal);
  }

  /** Resolves when an entry that was unset is out of the registry. @throws the signal's reason */
  removed(key: string, signal: AbortSignal): Promise<void> {
    return this.#until(() => !this.#removals.has(key), signal);
  }

  /** Removes the entries and releases the lease. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new CallError('CANCELLED', `Announcer ${this.#options.name} is closed`));
    await this.#running;
    const lease = this.#lease;
    this.#lease = null;
    await lease?.release().catch(() => undefined); // unreachable: the lease expires by itself
  }

  /** Looks after each round of announcements. */
  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    const joined = joinSignals([signal, this.#closing.signal]);
    let wake: () => void = () => undefined;
    joined.signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!isSo()) {
        joined.signal.throwIfAborted();
        await new Promise<void>((resolve) => this.#waiting.add((wake = resolve)));
        this.#waiting.delete(wake);
      }
    } finally {
      joined.release();
    }
  }

  #isSettled(): boolean {
    const areDone = [...this.#entries.values()].every(({ isDone }) => isDone);
    return this.lease !== null && areDone && this.#removals.size === 0;
  }

  async #run(): Promise<void> {
    const closing = this.#closing.signal;
    for (let attempt = 1; !closing.aborted; attempt++) {
      try {
        const lease = this.#lease ?? (await this.#takeLease());
        await this.#announceAll(lease);
        attempt = 0;
        await this.#untilChange(lease.lost);
      } catch (thrown) {
        this.#onFailure(thrown);
      }
      this.#noticeLoss();
      if (attempt > 0) await sleep(this.#clock, retryDelayMs(attempt, Math.random()), closing);
    }
  }

  async #takeLease(): Promise<Lease> {
    const { registry, name, ttlMs } = this.#options;
    const lease = await registry.grantLease({ name, ttlMs });
    this.#lease = lease;
    this.#leaseIds.add(lease.id);
    lease.lost.addEventListener('abort', () => this.#noticeLoss(), { once: true });
    return lease;
  }

  async #announceAll(lease: Lease): Promise<void> {
    this.#changed = new AbortController();
    for (const key of this.#removals) await this.#remove(key);
    for (const [key, entry] of this.#entries) if (!entry.isDone) await this.#announce(key, entry, lease);
    lease.lost.throwIfAborted();
    if (this.#wasLost) this.#options.onRestored?.(lease.fencingToken);
    this.#wasLost = false;
    for (const wake of this.#waiting) wake();
  }

  async #announce(key: string, entry: Announced, lease: Lease): Promise<void> {
    const { registry } = this.#options;
    const present = entry.wasAnnounced ? await registry.get(key) : null;
    switch (announceAction(present, this.#leaseIds, entry.wasAnnounced)) {
      case 'put':
        await registry.put(key, entry.value, { lease });
        break;
      case 'create':
        await registry.create(key, entry.value, { lease });
        break;
      case 'update':
        await registry.update(key, entry.value, present?.revision ?? 0, { lease });
        break;
      case 'leave':
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        this.#options.onReplaced?.(key);
        return;
    }
    entry.wasAnnounced = true;
    entry.isDone = true;
  }

  /** Removes our entry; leaves somebody else's. */
  async #remove(key: string): Promise<void> {
    const { registry } = this.#options;
    const present = await registry.get(key);
    if (present?.leaseId != null && this.#leaseIds.has(present.leaseId)) {
      await registry.remove(key, { revision: present.revision }).catch((thrown: unknown) => {
        if (!(thrown instanceof RevisionConflict)) throw thrown;
      });
    }
    this.#removals.delete(key);
  }

  /** A lease that the registry no longer knows is given up at once; every other failure is retried. */
  #onFailure(thrown: unknown): void {
    const isRefused = thrown instanceof CallError && thrown.code === 'FAILED_PRECONDITION';
    if (isRefused) void this.#lease?.release().catch(() => undefined);
  }

  #noticeLoss(): void {
    const lost = this.#lease?.lost;
    if (lost?.aborted !== true || this.#closing.signal.aborted) return;
    this.#lease = null;
    this.#wasLost = true;
    for (const entry of this.#entries.values()) entry.isDone = false;
    this.#options.onLost?.(toError(lost.reason));
  }

  #untilChange(lost: AbortSignal): Promise<void> {
    return whenAborted(lost, this.#changed.signal, this.#closing.signal);
  }
}
