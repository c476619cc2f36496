/** A registry over gRPC: one process serves its store (registry-embedded.ts) to others, who use it as a `Registry`. */

import { UserError } from '../../common/errors.ts';
import type { ChangeType__Output } from '../../gen/ballast/runtime/v1/ChangeType.ts';
import type { Entry, Entry__Output } from '../../gen/ballast/runtime/v1/Entry.ts';
import type { RegistryServiceHandlers } from '../../gen/ballast/runtime/v1/RegistryService.ts';
import type {
  WatchEntriesResponse,
  WatchEntriesResponse__Output,
} from '../../gen/ballast/runtime/v1/WatchEntriesResponse.ts';
import type { WriteCondition__Output } from '../../gen/ballast/runtime/v1/WriteCondition.ts';
import { CallError } from '../base/call-errors.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';
import type { Implementation } from '../proto/protos.ts';
import { checkKey, checkLeaseOptions, checkPrefix, encodeValue } from './registry.ts';
import type { JsonObject, Registry, RegistryChange, RegistryEntry } from './registry.ts';
import { openRegistry, type RegistryOptions } from './registry-client.ts';
import type { GrantRequest, RegistryStore, WriteCondition } from './registry-store.ts';
import { registryService } from '../proto/runtime-services.ts';
import type { CallContext } from '../calls/call.ts';

const CONDITION_MESSAGES = {
  any: 'WRITE_CONDITION_ANY',
  absent: 'WRITE_CONDITION_ABSENT',
  revision: 'WRITE_CONDITION_REVISION',
} as const satisfies Record<WriteCondition['kind'], WriteCondition__Output>;

const CHANGE_MESSAGES = {
  put: 'CHANGE_TYPE_PUT',
  removed: 'CHANGE_TYPE_REMOVED',
  expired: 'CHANGE_TYPE_EXPIRED',
  synced: 'CHANGE_TYPE_SYNCED',
} as const satisfies Record<RegistryChange['type'], ChangeType__Output>;

function conditionFromMessage(message: WriteCondition__Output, revision: number): WriteCondition {
  switch (message) {
    case 'WRITE_CONDITION_ABSENT':
      return { kind: 'absent' };
    case 'WRITE_CONDITION_REVISION':
      return { kind: 'revision', revision };
    case 'WRITE_CONDITION_ANY':
    case 'WRITE_CONDITION_UNSPECIFIED':
      return { kind: 'any' };
    default:
      return message satisfies never;
  }
}

function parseValue(key: string, json: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (thrown) {
    throw new UserError(`Registry value of '${key}' is not JSON.`, { cause: thrown });
  }
  encodeValue(key, value as JsonObject);
  return value as JsonObject;
}

function entryToMessage({ key, value, revision, leaseId }: RegistryEntry): Entry {
  return { key, valueJson: JSON.stringify(value), revision, leaseId: leaseId ?? '' };
}

function entryFromMessage({ key, valueJson, revision, leaseId }: Entry__Output): RegistryEntry {
  return {
    key,
    value: JSON.parse(valueJson) as JsonObject,
    revision,
    leaseId: leaseId === '' ? null : leaseId,
  };
}

function changeToMessage(change: RegistryChange): WatchEntriesResponse {
  const type = CHANGE_MESSAGES[change.type];
  if (change.type === 'synced') return { type };
  if (change.type === 'put') return { type, key: change.entry.key, entry: entryToMessage(change.entry) };
  return { type, key: change.key };
}

function changeFromMessage({ type, key, entry }: WatchEntriesResponse__Output): RegistryChange {
  switch (type) {
    case 'CHANGE_TYPE_PUT':
      if (entry === null) throw new CallError('INTERNAL', `The registry sent no entry of '${key}'`);
      return { type: 'put', entry: entryFromMessage(entry) };
    case 'CHANGE_TYPE_REMOVED':
      return { type: 'removed', key };
    case 'CHANGE_TYPE_EXPIRED':
      return { type: 'expired', key };
    case 'CHANGE_TYPE_SYNCED':
      return { type: 'synced' };
    case 'CHANGE_TYPE_UNSPECIFIED':
      throw new CallError('INTERNAL', 'The registry sent a change without a type');
    default:
      return type satisfies never;
  }
}

/** Handlers of `RegistryService` on a store, which the caller closes. */
export function registryHandlers(store: RegistryStore): Implementation<RegistryServiceHandlers, CallContext> {
  return {
    async getEntry({ key }, { deadlineMs }) {
      checkKey(key);
      const entry = await store.get(key, deadlineMs);
      return { entry: entry === null ? null : entryToMessage(entry) };
    },
    async listEntries({ prefix }, { deadlineMs }) {
      checkPrefix(prefix);
      return { entries: (await store.list(prefix, deadlineMs)).map(entryToMessage) };
    },
    writeEntry({ key, valueJson, condition, revision, leaseId }, { deadlineMs }) {
      checkKey(key);
      const request = {
        key,
        value: parseValue(key, valueJson),
        condition: conditionFromMessage(condition, revision),
        leaseId: leaseId === '' ? null : leaseId,
      };
      return store.write(request, deadlineMs);
    },
    removeEntry({ key, revision }, { deadlineMs }) {
      checkKey(key);
      return store.remove(key, revision, deadlineMs);
    },
    async *watchEntries({ prefix }, { signal }) {
      checkPrefix(prefix);
      for await (const change of store.watch(prefix, signal)) yield changeToMessage(change);
    },
    grantLease(request: GrantRequest, { deadlineMs }) {
      checkLeaseOptions(request);
      return store.grant(request, deadlineMs);
    },
    async renewLease({ leaseId }, { deadlineMs }) {
      return { isAlive: await store.renew(leaseId, deadlineMs) };
    },
    releaseLease: ({ leaseId }, { deadlineMs }) => store.release(leaseId, deadlineMs),
  };
}

/** The store that another process serves. */
function remoteStore(pool: Transport, address: string): RegistryStore {
  const calls = serviceCalls(registryService, pool, address);
  return {
    async get(key, deadlineMs) {
      const { entry } = await calls.getEntry({ key }, { deadlineMs });
      return entry === null ? null : entryFromMessage(entry);
    },
    async list(prefix, deadlineMs) {
      return (await calls.listEntries({ prefix }, { deadlineMs })).entries.map(entryFromMessage);
    },
    write({ key, value, condition, leaseId }, deadlineMs) {
      const request = {
        key,
        valueJson: JSON.stringify(value),
        condition: CONDITION_MESSAGES[condition.kind],
        revision: condition.kind === 'revision' ? condition.revision : 0,
        leaseId: leaseId ?? '',
      };
      return calls.writeEntry(request, { deadlineMs });
    },
    remove: (key, revision, deadlineMs) => calls.removeEntry({ key, revision }, { deadlineMs }),
    async *watch(prefix, signal) {
      const changes = calls.watchEntries({ prefix }, { signal, deadlineMs: Infinity });
      for await (const change of changes) yield changeFromMessage(change);
    },
    grant: (request, deadlineMs) => calls.grantLease(request, { deadlineMs }),
    async renew(leaseId, deadlineMs) {
      return (await calls.renewLease({ leaseId }, { deadlineMs })).isAlive;
    },
    async release(leaseId, deadlineMs) {
      await calls.releaseLease({ leaseId }, { deadlineMs });
    },
    close: () => Promise.resolve(),
  };
}

/** The registry that the process at `address` (host:port) serves. The caller closes the pool. */
export function remoteRegistry(pool: Transport, address: string, options: RegistryOptions = {}): Registry {
  return openRegistry(remoteStore(pool, address), options);
}
