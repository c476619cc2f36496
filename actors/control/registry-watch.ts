/**
 * A watch that survives its registry: when the store's watch breaks, it starts again and reports only the differences
 * from what it reported before. An older value of a key never follows a newer one.
 */

import { UserError } from '../../common/errors.ts';
import type { RegistryChange, RegistryEntry } from './registry.ts';

/** The state reported to a watcher, and its difference from a new listing. */
export class WatchView {
  readonly #told = new Map<string, RegistryEntry>();
  /** Keys seen in the listing in progress; null after it. */
  #listed: Set<string> | null = null;
  #wasSynced = false;

  /** A new listing starts. */
  beginListing(): void {
    this.#listed = new Set();
  }

  /** The changes to report for one that the store reported. */
  apply(change: RegistryChange): RegistryChange[] {
    switch (change.type) {
      case 'put': {
        const { key, revision } = change.entry;
        this.#listed?.add(key);
        if ((this.#told.get(key)?.revision ?? 0) >= revision) return [];
        this.#told.set(key, change.entry);
        return [change];
      }
      case 'removed':
      case 'expired':
        this.#listed?.delete(change.key);
        return this.#told.delete(change.key) ? [change] : [];
      case 'synced':
        return this.#endListing();
      default:
        return change satisfies never;
    }
  }

  /** Entries missing from the listing have gone meanwhile; those under a lease count as expired. */
  #endListing(): RegistryChange[] {
    const listed = this.#listed ?? new Set<string>();
    this.#listed = null;
    const changes: RegistryChange[] = [];
    for (const [key, { leaseId }] of this.#told) {
      if (listed.has(key)) continue;
      this.#told.delete(key);
      changes.push({ type: leaseId === null ? 'removed' : 'expired', key });
    }
    if (!this.#wasSynced) changes.push({ type: 'synced' });
    this.#wasSynced = true;
    return changes;
  }
}

/**
 * Watches until the signal is aborted. `pause` waits before attempt `attempt + 1` (from 1, and again from 1 after each
 * success).
 * @throws UserError from the store
 */
export async function* resumedWatch(
  open: () => AsyncIterable<RegistryChange>,
  pause: (attempt: number) => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<RegistryChange, void, undefined> {
  const view = new WatchView();
  for (let attempt = 1; !signal.aborted; attempt++) {
    view.beginListing();
    try {
      for await (const change of open()) {
        attempt = 1;
        for (const told of view.apply(change)) {
          if (signal.aborted) return;
          yield told;
        }
      }
    } catch (thrown) {
      if (thrown instanceof UserError) throw thrown;
    }
    if (!signal.aborted) await pause(attempt);
  }
}
