/**
 * The registry in NATS JetStream, for clusters (data: registry-nats-buckets.ts). Every write compares and sets the
 * key's last sequence, so a delayed write (a stopped process, a late packet) loses against a newer one, and a write
 * that lands after its lease ended is visible to nobody.
 */

import { randomUUID } from 'node:crypto';
import { toError, UserError } from '../../common/errors.ts';
import {
  isMissingStream,
  isWrongSequence,
  NatsLink,
  OPEN_DEADLINE_MS,
  openingAdvice,
} from './nats-connection.ts';
import type { NatsConnectionOptions } from './nats-connection.ts';
import { isFencedOff, type Registry, type RegistryChange, type RegistryEntry } from './registry.ts';
import { openRegistry, type RegistryOptions } from './registry-client.ts';
import { bucketName, NatsBuckets, toEntry } from './registry-nats-buckets.ts';
import type { BucketOptions, StoredEntry, StoredLease } from './registry-nats-buckets.ts';
import { NatsWatch } from './registry-nats-watch.ts';
import { isMet, leaseLost } from './registry-store.ts';
import type { Grant, GrantRequest, RegistryStore, WriteRequest, WriteResult } from './registry-store.ts';

export type NatsRegistryOptions = NatsConnectionOptions & BucketOptions & RegistryOptions;

/** Remains of a removal or an expired lease are erased at this age, when every watcher has seen them. */
const SWEEP_AGE_MS = 600_000;
const SWEEP_EVERY_MS = 600_000;
const SWEEP_DEADLINE_MS = 5000;
const MISSING_STREAM_PAUSE_MS = 50;

interface OwnLease extends StoredLease {
  /** Revision of its record in NATS. */
  revision: number;
  readonly keys: Set<string>;
}

class NatsStore implements RegistryStore {
  readonly #link: NatsLink;
  readonly #buckets: NatsBuckets;
  readonly #own = new Map<string, OwnLease>();
  readonly #sweeps: NodeJS.Timeout;

  constructor(link: NatsLink, buckets: NatsBuckets) {
    this.#link = link;
    this.#buckets = buckets;
    // At a random moment in each process: one sweeps, and the others find nothing.
    this.#sweeps = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS * (1 + Math.random()));
    this.#sweeps.unref();
  }

  get(key: string, deadlineMs: number): Promise<RegistryEntry | null> {
    return this.#request('get', deadlineMs, async () => {
      const stored = await this.#buckets.read(key);
      return stored !== null && (await this.#isVisible(stored)) ? toEntry(stored) : null;
    });
  }

  list(prefix: string, deadlineMs: number): Promise<RegistryEntry[]> {
    return this.#request('list', deadlineMs, async () => {
      const { visible } = await this.#listed(prefix);
      const entries = visible.map(toEntry).filter((entry) => entry !== null);
      return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    });
  }

  write(request: WriteRequest, deadlineMs: number): Promise<WriteResult> {
    return this.#request('write', deadlineMs, () => this.#writeOnce(request));
  }

  remove(key: string, revision: number, deadlineMs: number): Promise<WriteResult> {
    return this.#request('remove', deadlineMs, async () => {
      const stored = await this.#buckets.read(key);
      const isThere = stored !== null && (await this.#isVisible(stored));
      const current = isThere ? stored.revision : 0;
      if (revision !== 0 && revision !== current) return { isDone: false, revision: current };
      if (isThere) await this.#buckets.remove(key, current);
      return { isDone: true, revision: current };
    });
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<RegistryChange, void, undefined> {
    try {
      yield* new NatsWatch(this.#buckets, this.#link, prefix).changes(signal);
    } catch (thrown) {
      this.#buckets.forget();
      throw thrown;
    }
  }

  grant({ name, ttlMs, aboveToken }: GrantRequest, deadlineMs: number): Promise<Grant> {
    return this.#request('grant', deadlineMs, async () => {
      const fencingToken = Math.max(await this.#buckets.nextToken(), aboveToken + 1);
      const lease = { id: randomUUID(), name, ttlMs, fencingToken };
      const revision = await this.#buckets.writeLease(lease, 0);
      this.#own.set(lease.id, { ...lease, revision, keys: new Set() });
      return { leaseId: lease.id, fencingToken };
    });
  }

  async renew(leaseId: string, deadlineMs: number): Promise<boolean> {
    const lease = this.#own.get(leaseId);
    if (lease === undefined) return false;
    const isAlive = await this.#link
      .request('renew', deadlineMs, () => this.#renewOnce(lease))
      .catch((thrown: unknown) => {
        if (!isMissingStream(thrown)) throw thrown;
        this.#buckets.forget();
        throw this.#link.unavailable('does not find the leases', thrown);
      });
    if (!isAlive) this.#own.delete(leaseId);
    return isAlive;
  }

  async release(leaseId: string, deadlineMs: number): Promise<void> {
    const lease = this.#own.get(leaseId);
    if (lease === undefined) return;
    this.#own.delete(leaseId);
    await this.#request('release', deadlineMs, async () => {
      await Promise.all([...lease.keys].map((key) => this.#removeOwn(key, leaseId)));
      await this.#buckets.removeLease(lease);
    });
  }

  close(): Promise<void> {
    clearInterval(this.#sweeps);
    return this.#link.close();
  }

  async #writeOnce({ key, value, condition, leaseId }: WriteRequest): Promise<WriteResult> {
    const lease = leaseId === null ? null : await this.#livingLease(leaseId);
    const stored = await this.#buckets.read(key);
    const isThere = stored !== null && (await this.#isVisible(stored));
    const current = isThere ? stored.revision : 0;
    const holder = (isThere ? stored.content?.lease : null) ?? null;
    if (lease !== null && isFencedOff(lease, holder)) {
      throw leaseLost(lease.id, `a later lease of ${lease.name} holds '${key}'`);
    }
    if (!isMet(condition, current)) return { isDone: false, revision: current };
    const named = lease === null ? null : storedLease(lease);
    const revision = await this.#buckets.write(key, { value, lease: named }, stored?.revision ?? 0);
    lease?.keys.add(key);
    return { isDone: true, revision };
  }

  async #livingLease(leaseId: string): Promise<OwnLease> {
    const lease = this.#own.get(leaseId);
    if (lease !== undefined && (await this.#buckets.readLease(lease)) !== null) return lease;
    throw leaseLost(leaseId, 'it expired, or was released');
  }

  async #renewOnce(lease: OwnLease): Promise<boolean> {
    try {
      lease.revision = await this.#buckets.writeLease(lease, lease.revision);
      return true;
    } catch (thrown) {
      if (!isWrongSequence(thrown)) throw thrown;
    }
    // Only its holder writes a lease's record, so another revision is a renewal of ours whose answer was lost.
    const revision = await this.#buckets.readLease(lease);
    if (revision === null) return false;
    lease.revision = await this.#buckets.writeLease(lease, revision);
    return true;
  }

  async #removeOwn(key: string, leaseId: string): Promise<void> {
    const stored = await this.#buckets.read(key);
    if (stored?.content?.lease?.id !== leaseId) return;
    try {
      await this.#buckets.remove(key, stored.revision);
    } catch (thrown) {
      if (!isWrongSequence(thrown)) throw thrown; // otherwise someone has just taken the key over
    }
  }

  async #isVisible({ content }: StoredEntry): Promise<boolean> {
    if (content === null) return false;
    return content.lease === null || (await this.#buckets.readLease(content.lease)) !== null;
  }

  async #listed(prefix: string): Promise<{ visible: StoredEntry[]; dead: StoredEntry[] }> {
    const all = await this.#buckets.snapshot(prefix);
    const ttls = new Set(all.flatMap(({ content }) => content?.lease?.ttlMs ?? []));
    const alive = new Set<string>();
    for (const ttlMs of ttls) for (const id of await this.#buckets.liveLeases(ttlMs)) alive.add(id);
    const isVisible = ({ content }: StoredEntry) =>
      content !== null && (content.lease === null || alive.has(content.lease.id));
    return { visible: all.filter(isVisible), dead: all.filter((stored) => !isVisible(stored)) };
  }

  async #sweep(): Promise<void> {
    const isOld = ({ writtenMs }: StoredEntry) => Date.now() - writtenMs > SWEEP_AGE_MS;
    try {
      const { dead } = await this.#request('sweep', SWEEP_DEADLINE_MS, () => this.#listed(''));
      for (const stored of dead.filter(isOld)) await this.#buckets.erase(stored);
    } catch {
      // Not awaited: if it fails, the next sweep finds the same.
    }
  }

  /** Retries operations that certainly had no effect: a stream was missing, or another writer was faster. */
  async #request<T>(what: string, deadlineMs: number, send: () => Promise<T>): Promise<T> {
    const endMs = performance.now() + deadlineMs;
    for (;;) {
      try {
        return await this.#link.request(what, endMs - performance.now(), send);
      } catch (thrown) {
        const isMissing = isMissingStream(thrown);
        if (!isMissing && !isWrongSequence(thrown)) throw thrown;
        if (isMissing) this.#buckets.forget();
        if (performance.now() + MISSING_STREAM_PAUSE_MS > endMs) {
          throw this.#link.unavailable(`failed: ${what}: ${toError(thrown).message}`, thrown);
        }
        if (isMissing) await new Promise((resolve) => setTimeout(resolve, MISSING_STREAM_PAUSE_MS));
      }
    }
  }
}

function storedLease({ id, name, ttlMs, fencingToken }: StoredLease): StoredLease {
  return { id, name, ttlMs, fencingToken };
}

/** Connects to NATS and opens the cluster's registry. @throws UserError, within 40 s, when that is impossible. */
export async function openNatsRegistry(options: NatsRegistryOptions): Promise<Registry> {
  bucketName(options.cluster);
  const link = await NatsLink.connect(options);
  try {
    const buckets = new NatsBuckets(link, options);
    await link.request('opening the registry', OPEN_DEADLINE_MS, () => buckets.open());
    return openRegistry(new NatsStore(link, buckets), options);
  } catch (thrown) {
    await link.close();
    if (thrown instanceof UserError) throw thrown;
    throw new UserError(
      `NATS at ${link.name} cannot keep the registry (${toError(thrown).message}): ${openingAdvice(thrown)}.`,
      { cause: thrown },
    );
  }
}
