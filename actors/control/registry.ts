/**
 * The control plane's registry: the living members of a cluster, as JSON values under keys. An entry written under a
 * lease lives no longer than the lease does; writes compare and set by revision; watchers follow a prefix. Everything
 * in it can be announced again (announcer.ts), so it may lose its data: it is never the only copy of anything.
 *
 * Implementations: in this process (registry-embedded.ts), in another one through gRPC (registry-service.ts), and NATS
 * JetStream (registry-nats.ts). Revisions and fencing tokens only ever grow, even when a registry lost everything: they
 * start at the time of its creation, in ms since 1970, and it takes fewer than one write per millisecond.
 */

import { UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { shown } from '../base/checks.ts';
import { encodeObject } from '../base/json-value.ts';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface RegistryEntry {
  readonly key: string;
  readonly value: JsonObject;
  /** Grows with every write, across all keys. */
  readonly revision: number;
  /** Its lease; null for none. */
  readonly leaseId: string | null;
}

export type RegistryChange =
  | { readonly type: 'put'; readonly entry: RegistryEntry }
  /** Removed by a client, or by the release of its lease. */
  | { readonly type: 'removed'; readonly key: string }
  /** Its lease expired without a release. */
  | { readonly type: 'expired'; readonly key: string }
  /** Everything that was present at the start has been reported. Once. */
  | { readonly type: 'synced' };

export interface Lease {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  /**
   * Larger than that of every earlier lease; a resource that remembers the largest one seen can refuse a late holder.
   */
  readonly fencingToken: number;
  /**
   * Aborted before the lease can end at the registry, by the holder's own clock; its reason says why. Reading this
   * property checks the clock first, so a process that was stopped for longer finds it aborted when it wakes. A timer
   * aborts signals that were read earlier; after a wake-up, other pending work may run before it.
   */
  readonly lost: AbortSignal;
  /** Ends the lease and removes the entries written under it. Safe to call twice. @throws CallError UNAVAILABLE */
  release(): Promise<void>;
}

export interface LeaseOptions {
  /** A whole number from 500 to 3,600,000. Use few different values: on NATS each one is a stream. */
  readonly ttlMs: number;
  /** The holder, as `node/a`; a key. Two leases may have the same name: then the larger token rules. */
  readonly name: string;
}

export interface WriteOptions {
  /** The entry lives no longer than this lease. */
  readonly lease?: Lease;
}

/**
 * Every operation throws CallError UNAVAILABLE within its deadline (5 s by default) when the registry cannot be reached:
 * the write may still have happened. Writes under a lease that is lost, or whose name a later lease has taken for the
 * same key, throw CallError FAILED_PRECONDITION. Invalid keys, prefixes and values throw UserError.
 */
export interface Registry {
  get(key: string): Promise<RegistryEntry | null>;
  /** Entries whose key begins with `prefix` ('' or ending in '/'), sorted by key. */
  list(prefix: string): Promise<RegistryEntry[]>;
  /** Resolves to the revision. @throws CallError ALREADY_EXISTS */
  create(key: string, value: JsonObject, options?: WriteOptions): Promise<number>;
  put(key: string, value: JsonObject, options?: WriteOptions): Promise<number>;
  /** Writes if the entry still has this revision. @throws RevisionConflict */
  update(key: string, value: JsonObject, revision: number, options?: WriteOptions): Promise<number>;
  /** Removes the entry, if there is one; with a revision, only that revision. @throws RevisionConflict */
  remove(key: string, options?: { readonly revision?: number }): Promise<void>;
  /**
   * First every present entry, as `put`; then `synced`; then changes, at least the latest value of each key. It is
   * silent while the registry is unreachable, and then reports what changed meanwhile. Ends with the signal, or with
   * `close`.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RegistryChange>;
  /** A lease that renews itself until it is released or lost. */
  grantLease(options: LeaseOptions): Promise<Lease>;
  /** Releases the leases and ends the watches. */
  close(): Promise<void>;
}

/** A compare-and-set that came too late. */
export class RevisionConflict extends CallError {
  override readonly name = 'RevisionConflict';
  /** The key's current revision; 0 when there is no entry. */
  readonly currentRevision: number;

  constructor(key: string, currentRevision: number) {
    const state = currentRevision === 0 ? 'has no entry' : `has revision ${currentRevision}`;
    super('ABORTED', `Registry key '${key}' ${state}: read it again`);
    this.currentRevision = currentRevision;
  }
}

const KEY = /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/;
const MAX_KEY_LENGTH = 256;
const MAX_VALUE_BYTES = 64 * 1024;
const MIN_TTL_MS = 500;
const MAX_TTL_MS = 3_600_000;

/** @throws UserError when `key` is not a key. */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || key.length > MAX_KEY_LENGTH || !KEY.test(key)) {
    throw new UserError(
      `Registry key '${shown(key)}': use tokens of letters, digits, '-', '_', '.', separated by '/'.`,
    );
  }
}

/** @throws UserError when `prefix` is neither empty nor a key with a '/' at its end. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  if (typeof prefix !== 'string' || !prefix.endsWith('/'))
    throw new UserError(`Registry prefix '${shown(prefix)}': end it with '/'.`);
  checkKey(prefix.slice(0, -1));
}

/** The value as JSON. @throws UserError when it is not an object, or larger than 64 KiB. */
export function encodeValue(key: string, value: JsonObject): string {
  return encodeObject(value, `Registry value of '${key}'`, MAX_VALUE_BYTES);
}

/** @throws UserError when a lease cannot have these options. */
export function checkLeaseOptions({ name, ttlMs }: LeaseOptions): void {
  checkKey(name);
  if (!Number.isInteger(ttlMs) || ttlMs < MIN_TTL_MS || ttlMs > MAX_TTL_MS) {
    throw new UserError(
      `Lease '${name}', ttlMs = ${shown(ttlMs)}: it must be whole, from ${MIN_TTL_MS} to ${MAX_TTL_MS}.`,
    );
  }
}

/** Whether the entry's own lease is a later one of the same name, so that the writer was replaced. */
export function isFencedOff(
  writer: { readonly name: string; readonly fencingToken: number },
  holder: { readonly name: string; readonly fencingToken: number } | null,
): boolean {
  return holder !== null && holder.name === writer.name && holder.fencingToken > writer.fencingToken;
}
