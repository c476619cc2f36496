/**
 * One watch of the registry in NATS, until it breaks: entries and ends of leases as the server pushes them, and polls of
 * the living leases: frequent where the server does not announce expiry (before 2.11). Polls also detect a recreated
 * stream.
 */

import { onAbort } from '../../common/abort.ts';
import { toError } from '../../common/errors.ts';
import { AsyncQueue } from '../base/async-queue.ts';
import { CallError } from '../base/call-errors.ts';
import type { NatsLink } from './nats-connection.ts';
import type { RegistryChange } from './registry.ts';
import { toEntry } from './registry-nats-buckets.ts';
import type { NatsBuckets, StoredEntry, StoredLease, Watched } from './registry-nats-buckets.ts';

type WatchEvent =
  | { readonly kind: 'entry'; readonly entry: StoredEntry }
  | { readonly kind: 'listed' }
  | { readonly kind: 'ended'; readonly leaseId: string }
  | { readonly kind: 'poll' }
  | { readonly kind: 'lost'; readonly reason: Error };

const REQUEST_DEADLINE_MS = 5000;
const MAX_POLL_MS = 2000;
const MIN_POLL_MS = 100;
/** A listing that takes longer counts as lost. */
const LISTING_DEADLINE_MS = 10_000;

/** Milliseconds between two polls of living leases, for the shortest lease among the entries. */
export function pollEveryMs(ttlsMs: Iterable<number>): number {
  return Math.max(MIN_POLL_MS, Math.min(MAX_POLL_MS, ...[...ttlsMs].map((ttlMs) => ttlMs / 4)));
}

export class NatsWatch {
  readonly #buckets: NatsBuckets;
  readonly #link: NatsLink;
  readonly #prefix: string;
  readonly #events = new AsyncQueue<WatchEvent>();
  /** The lease of every entry that was reported and still exists. */
  readonly #told = new Map<string, StoredLease | null>();
  /** Living leases by time to live, as of the last poll. */
  readonly #alive = new Map<number, Set<string>>();
  /** Expired leases; they never come back. */
  readonly #dead = new Set<string>();
  readonly #startMs = performance.now();
  /** Announcements of ended leases, by time to live; null where the server makes none. */
  readonly #ends = new Map<number, Watched<string> | null>();
  #isListed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(buckets: NatsBuckets, link: NatsLink, prefix: string) {
    this.#buckets = buckets;
    this.#link = link;
    this.#prefix = prefix;
  }

  /** @throws CallError UNAVAILABLE when the connection, the stream or the subscription is lost. */
  async *changes(signal: AbortSignal): AsyncGenerator<RegistryChange, void, undefined> {
    await this.#link.ready(Infinity, signal);
    const { session } = this.#link;
    const lost = () => this.#events.push({ kind: 'lost', reason: toError(session.reason) });
    const stopListening = onAbort(session, lost);
    let entries: Watched<StoredEntry> | null = null;
    try {
      const onListed = () => this.#events.push({ kind: 'listed' });
      entries = await this.#ask(() => this.#buckets.watch(this.#prefix, onListed));
      const incarnation = await this.#ask(() => this.#buckets.incarnation());
      void this.#pump(entries, (entry) => ({ kind: 'entry', entry }));
      this.#schedulePoll();
      for await (const event of this.#events.iterate(signal)) yield* await this.#handle(event, incarnation);
    } finally {
      clearTimeout(this.#timer);
      stopListening();
      entries?.stop();
      for (const ends of this.#ends.values()) ends?.stop();
    }
  }

  async #handle(event: WatchEvent, incarnation: string): Promise<RegistryChange[]> {
    switch (event.kind) {
      case 'entry':
        return this.#onEntry(event.entry);
      case 'listed':
        this.#isListed = true;
        return [{ type: 'synced' }];
      case 'ended':
        this.#dead.add(event.leaseId);
        return this.#expired();
      case 'poll':
        return this.#onPoll(incarnation);
      case 'lost':
        throw this.#link.unavailable('broke off a watch', event.reason);
      default:
        return event satisfies never;
    }
  }

  async #onEntry(stored: StoredEntry): Promise<RegistryChange[]> {
    const { key } = stored;
    const entry = toEntry(stored);
    if (entry === null) {
      return this.#told.delete(key) ? [{ type: 'removed', key }] : [];
    }
    const lease = stored.content?.lease ?? null;
    if (lease !== null && !(await this.#isAlive(lease))) {
      return this.#told.delete(key) ? [{ type: 'expired', key }] : [];
    }
    const isNewLease = lease !== null && !this.#ttls().has(lease.ttlMs);
    this.#told.set(key, lease);
    if (isNewLease) {
      await this.#followEnds(lease.ttlMs);
      this.#schedulePoll();
    }
    return [{ type: 'put', entry }];
  }

  async #onPoll(incarnation: string): Promise<RegistryChange[]> {
    try {
      if ((await this.#ask(() => this.#buckets.incarnation())) !== incarnation) {
        throw this.#link.unavailable('has a new stream');
      }
      for (const ttlMs of this.#ttls()) await this.#refresh(ttlMs);
    } catch (thrown) {
      // A server that does not answer says nothing about leases; a server that lost the stream ends this watch.
      const isSilent = thrown instanceof CallError && thrown.cause !== undefined;
      if (!isSilent || this.#isOverdue()) throw thrown;
    }
    this.#schedulePoll();
    return this.#expired();
  }

  /** The entries whose leases are over. */
  #expired(): RegistryChange[] {
    const expired = [...this.#told].filter(([, lease]) => lease !== null && this.#dead.has(lease.id));
    for (const [key] of expired) this.#told.delete(key);
    return expired.map(([key]) => ({ type: 'expired', key }));
  }

  #isOverdue(): boolean {
    return !this.#isListed && performance.now() - this.#startMs > LISTING_DEADLINE_MS;
  }

  #ttls(): Set<number> {
    return new Set([...this.#told.values()].filter((lease) => lease !== null).map(({ ttlMs }) => ttlMs));
  }

  async #isAlive({ id, ttlMs }: StoredLease): Promise<boolean> {
    if (this.#dead.has(id)) return false;
    if (this.#alive.get(ttlMs)?.has(id) !== true) await this.#refresh(ttlMs);
    if (this.#alive.get(ttlMs)?.has(id) === true) return true;
    this.#dead.add(id);
    return false;
  }

  async #refresh(ttlMs: number): Promise<void> {
    const alive = await this.#ask(() => this.#buckets.leaseIds(ttlMs));
    this.#alive.set(ttlMs, alive);
    for (const lease of this.#told.values()) {
      if (lease?.ttlMs === ttlMs && !alive.has(lease.id)) this.#dead.add(lease.id);
    }
  }

  async #followEnds(ttlMs: number): Promise<void> {
    if (this.#ends.has(ttlMs)) return;
    const ends = await this.#ask(() => this.#buckets.watchEnds(ttlMs));
    this.#ends.set(ttlMs, ends);
    if (ends !== null) void this.#pump(ends, (leaseId) => ({ kind: 'ended', leaseId }));
  }

  async #pump<Item>(items: Watched<Item>, toEvent: (item: Item) => WatchEvent): Promise<void> {
    let reason = this.#link.unavailable('ended a watch');
    try {
      for await (const item of items.iterate()) this.#events.push(toEvent(item));
    } catch (thrown) {
      reason = this.#link.unavailable('ended a watch', thrown);
    }
    this.#events.push({ kind: 'lost', reason });
  }

  #schedulePoll(): void {
    clearTimeout(this.#timer);
    // Where the server announces expiry, polls are only for what it cannot announce.
    const delayMs = pollEveryMs([...this.#ttls()].filter((ttlMs) => !this.#ends.get(ttlMs)));
    this.#timer = setTimeout(() => this.#events.push({ kind: 'poll' }), delayMs);
    this.#timer.unref();
  }

  #ask<T>(send: () => Promise<T>): Promise<T> {
    return this.#link.request('watching', REQUEST_DEADLINE_MS, send);
  }
}
