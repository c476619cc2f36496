/** The storage interface of a registry: keys with conditions, leases without keep-alive, watches that may break. */

import { CallError } from '../base/call-errors.ts';
import type { JsonObject, LeaseOptions, RegistryChange, RegistryEntry } from './registry.ts';

export type WriteCondition =
  | { readonly kind: 'any' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'revision'; readonly revision: number };

export interface WriteRequest {
  readonly key: string;
  readonly value: JsonObject;
  readonly condition: WriteCondition;
  readonly leaseId: string | null;
}

/** The write was done, or not: then `revision` is the current one, 0 for no entry. */
export interface WriteResult {
  readonly isDone: boolean;
  readonly revision: number;
}

export interface Grant {
  readonly leaseId: string;
  readonly fencingToken: number;
}

export interface GrantRequest extends LeaseOptions {
  /** Largest token that the caller has had; the new one is larger. */
  readonly aboveToken: number;
}

/**
 * The callers (registry-client.ts, registry-service.ts) check arguments. Each operation throws CallError:
 * UNAVAILABLE within `deadlineMs`, FAILED_PRECONDITION for a write under a lease that is not alive.
 */
export interface RegistryStore {
  get(key: string, deadlineMs: number): Promise<RegistryEntry | null>;
  list(prefix: string, deadlineMs: number): Promise<RegistryEntry[]>;
  write(request: WriteRequest, deadlineMs: number): Promise<WriteResult>;
  /** `revision` 0 removes any present entry. */
  remove(key: string, revision: number, deadlineMs: number): Promise<WriteResult>;
  /**
   * Like `Registry.watch`, but throws CallError UNAVAILABLE when it loses the registry; the caller then starts over.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RegistryChange>;
  grant(request: GrantRequest, deadlineMs: number): Promise<Grant>;
  /** Renews the lease for its whole time; false if it has expired. */
  renew(leaseId: string, deadlineMs: number): Promise<boolean>;
  /** Removes the lease's entries and ends it. Ignores unknown ids. */
  release(leaseId: string, deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

export function leaseLost(leaseId: string, why: string): CallError {
  return new CallError('FAILED_PRECONDITION', `Lease ${leaseId} is lost: ${why}`);
}

/** Whether a key with revision `current` (0 for no entry) may be written. */
export function isMet(condition: WriteCondition, current: number): boolean {
  switch (condition.kind) {
    case 'any':
      return true;
    case 'absent':
      return current === 0;
    case 'revision':
      return current === condition.revision;
    default:
      return condition satisfies never;
  }
}
