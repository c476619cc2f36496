/** What a registry is built on: keys with conditions, leases without keep-alive, watches that may break off. */

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

/** Done, or not: then `revision` is the current one, 0 for no entry. */
export interface WriteResult {
  readonly isDone: boolean;
  readonly revision: number;
}

export interface Grant {
  readonly leaseId: string;
  readonly fencingToken: number;
}

export interface GrantRequest extends LeaseOptions {
  /** Largest token that the asker has had; the new one is larger. */
  readonly aboveToken: number;
}

/**
 * Arguments are checked by whoever calls (registry-client.ts, registry-service.ts). Each operation throws CallError:
 * UNAVAILABLE within `deadlineMs`, FAILED_PRECONDITION for a write under a lease that is not alive.
 */
export interface RegistryStore {
  get(key: string, deadlineMs: number): Promise<RegistryEntry | null>;
  list(prefix: string, deadlineMs: number): Promise<RegistryEntry[]>;
  write(request: WriteRequest, deadlineMs: number): Promise<WriteResult>;
  /** `revision` 0 removes whatever is there. */
  remove(key: string, revision: number, deadlineMs: number): Promise<WriteResult>;
  /** As `Registry.watch`, but throws CallError UNAVAILABLE when it loses the registry; the caller begins anew. */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RegistryChange>;
  grant(request: GrantRequest, deadlineMs: number): Promise<Grant>;
  /** Whether the lease is alive, and now for its whole time again. */
  renew(leaseId: string, deadlineMs: number): Promise<boolean>;
  /** Removes the lease's entries and ends it. Unknown ids are ignored. */
  release(leaseId: string, deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

export function leaseLost(leaseId: string, why: string): CallError {
  return new CallError('FAILED_PRECONDITION', `Lease ${leaseId} is lost: ${why}`);
}

/** Whether a key may be written that has revision `current`; 0 for no entry. */
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
