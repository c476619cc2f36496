/**
 * The registry's data in NATS, as buckets that `nats kv` can read:
 *
 *   ballast_<cluster>              k.<key> → {value, lease}; `token`, whose sequences are the fencing tokens
 *   ballast_<cluster>_lease_<ttl>  <lease id> → {name, fencingToken}; the server drops records that are not renewed for
 *                                  the bucket's time to live. One bucket for each ttl in use
 *
 * An entry is valid only while its lease's record exists. Since 2.11 a server announces that it drops one, by a marker
 * without content (decision 45); with older servers watchers poll. Sequences begin at the stream's creation time in ms
 * (an empty stream is purged up to there), so that a stream recreated after a loss continues with larger numbers.
 */

import { nanos, StorageType } from 'nats';
import type { JetStreamManager, KV, KvEntry, QueuedIterator, StreamInfo } from 'nats';
import { UserError } from '../../common/errors.ts';
import { shown } from '../base/checks.ts';
import { forbidden, type NatsLink } from './nats-connection.ts';
import type { JsonObject, RegistryEntry } from './registry.ts';

/** The lease of an entry, as the entry records it. */
export interface StoredLease {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  readonly fencingToken: number;
}

export interface StoredEntry {
  readonly key: string;
  readonly revision: number;
  readonly writtenMs: number;
  /** Null for the marker that a removal leaves. */
  readonly content: { readonly value: JsonObject; readonly lease: StoredLease | null } | null;
}

export interface BucketOptions {
  /** Letters, digits, `-` and `_`. */
  readonly cluster: string;
  /** Replicas in a NATS cluster, from 1 (the default) to 5. */
  readonly replicas?: number;
}

/** Smaller sequences come from a stream whose numbering is not initialised yet. */
const SMALLEST_REVISION = 1e12;
const REQUEST_TIMEOUT_MS = 5000;
/** How long the server keeps a marker, its minimum; watchers get it at once. */
const MARKER_TTL_MS = 1000;
const KEY_HEAD = 'k.';
const TOKEN_KEY = 'token';

/** `a/b.c` → `k.a.b=c`: NATS separates tokens with dots, and keys contain no `=`. */
export function encodeKey(key: string): string {
  return KEY_HEAD + key.replaceAll('.', '=').replaceAll('/', '.');
}

export function decodeKey(encoded: string): string {
  return encoded.slice(KEY_HEAD.length).replaceAll('.', '/').replaceAll('=', '.');
}

function fromKv(entry: KvEntry): StoredEntry {
  return {
    key: decodeKey(entry.key),
    revision: entry.revision,
    writtenMs: entry.created.getTime(),
    content: entry.operation === 'PUT' ? entry.json() : null,
  };
}

/** Whether a server of this version can mark what it drops. */
export function canMark(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 11);
}

/** Whether it is a record, and not the marker of one that is gone. */
function isRecord({ operation, length }: Pick<KvEntry, 'operation' | 'length'>): boolean {
  return operation === 'PUT' && length > 0;
}

/** The entry as readers see it, once its lease is known to be alive. */
export function toEntry({ key, revision, content }: StoredEntry): RegistryEntry | null {
  if (content === null) return null;
  return { key, value: content.value, revision, leaseId: content.lease?.id ?? null };
}

/** @throws UserError when `cluster` is not a valid name. */
export function bucketName(cluster: string): string {
  if (typeof cluster === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(cluster)) return `ballast_${cluster}`;
  throw new UserError(`Cluster name '${shown(cluster)}': use up to 64 letters, digits, '-', '_'.`);
}

export class NatsBuckets {
  readonly #link: NatsLink;
  readonly #bucket: string;
  readonly #replicas: number;
  #manager: Promise<JetStreamManager> | null = null;
  #main: Promise<KV> | null = null;
  readonly #leases = new Map<number, Promise<KV>>();

  constructor(link: NatsLink, { cluster, replicas = 1 }: BucketOptions) {
    this.#link = link;
    this.#bucket = bucketName(cluster);
    this.#replicas = replicas;
  }

  /** Makes sure that the main bucket exists. */
  async open(): Promise<void> {
    await this.#entries();
  }

  /** A stream was missing: creates it again at the next use. */
  forget(): void {
    this.#main = null;
    this.#leases.clear();
  }

  async read(key: string): Promise<StoredEntry | null> {
    const entry = await (await this.#entries()).get(encodeKey(key));
    return entry === null ? null : fromKv(entry);
  }

  /** Writes if the key's last sequence is `revision` (0 for none); null if it is not. */
  write(key: string, content: StoredEntry['content'], revision: number): Promise<number> {
    return this.#put(encodeKey(key), JSON.stringify(content), revision);
  }

  /** Leaves a marker for watchers, which is swept later. */
  async remove(key: string, revision: number): Promise<void> {
    await (await this.#entries()).delete(encodeKey(key), { previousSeq: revision });
  }

  /** A number larger than all previous ones. */
  nextToken(): Promise<number> {
    return this.#put(TOKEN_KEY, '{}');
  }

  /** Everything under a prefix, including markers and entries of expired leases. */
  async snapshot(prefix: string): Promise<StoredEntry[]> {
    let isListed = false;
    let entries: QueuedIterator<KvEntry> | null = null;
    entries = await this.#watch(prefix, () => {
      isListed = true;
      entries?.stop();
    });
    if (isListed) entries.stop();
    const listed: StoredEntry[] = [];
    for await (const entry of entries) listed.push(fromKv(entry));
    return listed;
  }

  /** The same, then later writes. `onListed` is called between the two. */
  async watch(prefix: string, onListed: () => void): Promise<Watched<StoredEntry>> {
    const entries = await this.#watch(prefix, onListed);
    return { stop: () => entries.stop(), iterate: () => mapped(entries) };
  }

  /** Identifies the present main stream; it changes when the stream is lost and recreated. */
  async incarnation(): Promise<string> {
    const { created } = await (await this.#jetstream()).streams.info(`KV_${this.#bucket}`);
    return created;
  }

  /** Adds or renews a lease's record; `revision` as for `write`. */
  async writeLease({ id, name, ttlMs, fencingToken }: StoredLease, revision: number): Promise<number> {
    const record = JSON.stringify({ name, fencingToken });
    return (await this.#leaseBucket(ttlMs)).put(id, record, { previousSeq: revision });
  }

  /** Revision of the lease's record; null when the lease has expired. */
  async readLease({ id, ttlMs }: { readonly id: string; readonly ttlMs: number }): Promise<number | null> {
    const record = await (await this.#leaseBucket(ttlMs)).get(id);
    return record !== null && isRecord(record) ? record.revision : null;
  }

  async removeLease(lease: StoredLease): Promise<void> {
    const revision = await this.readLease(lease);
    if (revision !== null) await this.#deleteMessage(this.#leaseName(lease.ttlMs), revision);
  }

  /** Ids of leases with one time to live, as the server announces their ends; null when it does not, to this user. */
  async watchEnds(ttlMs: number): Promise<Watched<string> | null> {
    if (!this.#marks) return null;
    try {
      const records = await (await this.#leaseBucket(ttlMs)).watch({ headers_only: true });
      return { stop: () => records.stop(), iterate: () => endedIds(records) };
    } catch (thrown) {
      if (forbidden(thrown) !== null) return null;
      throw thrown;
    }
  }

  /** Ids of the living leases with one time to live; one request each where the server marks those that ended. */
  async liveLeases(ttlMs: number): Promise<Set<string>> {
    const ids = await this.leaseIds(ttlMs);
    if (!this.#marks) return ids;
    const revisions = await Promise.all([...ids].map((id) => this.readLease({ id, ttlMs })));
    return new Set([...ids].filter((_, i) => revisions[i] !== null));
  }

  /** The same in one request; where the server marks ended leases, it includes those that ended within a second. */
  async leaseIds(ttlMs: number): Promise<Set<string>> {
    const bucket = this.#leaseName(ttlMs);
    const subjects = await this.#subjects(`KV_${bucket}`);
    return new Set(subjects.map((subject) => subject.slice(`$KV.${bucket}.`.length)));
  }

  /** Erases exactly this write, which must no longer matter to anyone. */
  erase({ revision }: StoredEntry): Promise<void> {
    return this.#deleteMessage(this.#bucket, revision);
  }

  async #deleteMessage(bucket: string, sequence: number): Promise<void> {
    const { streams } = await this.#jetstream();
    // Another process may have created it first.
    await streams.deleteMessage(`KV_${bucket}`, sequence, false).catch(() => false);
  }

  async #subjects(stream: string): Promise<string[]> {
    try {
      const { streams } = await this.#jetstream();
      const { state }: StreamInfo = await streams.info(stream, { subjects_filter: '>' });
      return Object.keys(state.subjects ?? {});
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message === 'stream not found') return [];
      throw thrown;
    }
  }

  async #put(encoded: string, json: string, revision?: number): Promise<number> {
    const options = revision === undefined ? {} : { previousSeq: revision };
    for (;;) {
      const sequence = await (await this.#entries()).put(encoded, json, options);
      if (sequence >= SMALLEST_REVISION) return sequence;
      this.forget(); // another process is creating the stream, and its purge takes this write away
      await this.#entries();
    }
  }

  async #watch(prefix: string, initializedFn: () => void): Promise<QueuedIterator<KvEntry>> {
    const key = prefix === '' ? `${KEY_HEAD}>` : `${encodeKey(prefix.slice(0, -1))}.>`;
    return (await this.#entries()).watch({ key, initializedFn });
  }

  #leaseName(ttlMs: number): string {
    return `${this.#bucket}_lease_${ttlMs}`;
  }

  get #marks(): boolean {
    return canMark(this.#link.connection.info?.version ?? '');
  }

  #jetstream(): Promise<JetStreamManager> {
    const { connection } = this.#link;
    return (this.#manager ??= remembered(
      connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS }),
      () => (this.#manager = null),
    ));
  }

  #entries(): Promise<KV> {
    return (this.#main ??= remembered(this.#openMain(), () => (this.#main = null)));
  }

  #leaseBucket(ttlMs: number): Promise<KV> {
    const known = this.#leases.get(ttlMs);
    if (known !== undefined) return known;
    const opening = this.#openLeases(this.#leaseName(ttlMs), ttlMs);
    const bucket = remembered(opening, () => this.#leases.delete(ttlMs));
    this.#leases.set(ttlMs, bucket);
    return bucket;
  }

  async #openLeases(name: string, ttlMs: number): Promise<KV> {
    const bucket = await this.#openBucket(name, { ttl: ttlMs });
    if (!this.#marks) return bucket;
    const { streams } = await this.#jetstream();
    // The client's types lack both fields, but it passes them on.
    const marks: object = { allow_msg_ttl: true, subject_delete_marker_ttl: nanos(MARKER_TTL_MS) };
    // A user who may not change the stream uses it as it is; watchers poll, too.
    await streams.update(`KV_${name}`, marks).catch(() => undefined);
    return bucket;
  }

  async #openMain(): Promise<KV> {
    const bucket = await this.#openBucket(this.#bucket, {});
    const { streams } = await this.#jetstream();
    const { created, state } = await streams.info(`KV_${this.#bucket}`);
    const first = Date.parse(created);
    if (state.last_seq + 1 < first) await streams.purge(`KV_${this.#bucket}`, { seq: first });
    return bucket;
  }

  #openBucket(name: string, options: { readonly ttl?: number }): Promise<KV> {
    const client = this.#link.connection.jetstream({ timeout: REQUEST_TIMEOUT_MS });
    return client.views.kv(name, {
      ...options,
      history: 1,
      storage: StorageType.File,
      replicas: this.#replicas,
      allow_direct: false, // reads must see the last write, not a follower's copy
    });
  }
}

export interface Watched<Item> {
  stop(): void;
  iterate(): AsyncIterable<Item>;
}

async function* endedIds(records: QueuedIterator<KvEntry>): AsyncGenerator<string, void, undefined> {
  for await (const record of records) if (!isRecord(record)) yield record.key;
}

async function* mapped(entries: QueuedIterator<KvEntry>): AsyncGenerator<StoredEntry, void, undefined> {
  for await (const entry of entries) yield fromKv(entry);
}

/** Caches a promise; one that fails is forgotten, so that the next use tries again. */
function remembered<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  promise.catch(forget);
  return promise;
}
