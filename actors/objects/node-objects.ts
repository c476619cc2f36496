/**
 * The object store of a node, shared by all processes of a machine. Processes write and read files themselves; the node
 * makes room, records which objects exist and who owns them, fetches objects from other nodes, and frees the objects of
 * ended actors.
 */

import type { Registry } from 'prom-client';
import { writeFileSync } from 'node:fs';
import type { ObjectServiceHandlers } from '../../gen/ballast/runtime/v1/ObjectService.ts';
import type { ObjectStatus } from '../../gen/ballast/runtime/v1/ObjectStatus.ts';
import { CallError } from '../base/call-errors.ts';
import type { ChannelPool } from '../calls/channels.ts';
import { serviceCalls } from '../calls/transport.ts';
import { UPLOADS_PER_NODE } from './broadcast-plan.ts';
import { NodeHolds } from './node-holds.ts';
import { type HeldObject, ObjectDirectory, REFERENCES_OWNER } from './object-directory.ts';
import { ObjectExchange } from './object-exchange.ts';
import { NodeObjectMetrics } from './object-metrics.ts';
import { fileNameOf, ObjectError, type ObjectRef, wrongDigest } from './object-ref.ts';
import { ObjectRoom } from './object-room.ts';
import type { Implementation } from '../proto/protos.ts';
import { objectService } from '../proto/runtime-services.ts';
import type { CallContext } from '../calls/call.ts';
import { StoreFiles } from './shared-memory.ts';
import { removeLeftovers } from './store-leftovers.ts';

const FREE_DEADLINE_MS = 5000;
const KINDS = { primary: 'OBJECT_KIND_PRIMARY', secondary: 'OBJECT_KIND_SECONDARY' } as const;

export interface NodeObjectsOptions {
  /** Unique, of letters, digits, `-` and `_`; the first part of its objects' ids. */
  readonly nodeId: string;
  /** host:port at which this store is served. */
  readonly address: string;
  readonly pool: ChannelPool;
  readonly registry: Registry;
  /** Folders in which the store creates its own: shared memory, and a disk. */
  readonly dirs: { readonly memory: string; readonly spill: string };
  /** Maximum bytes in memory. */
  readonly capacityBytes: number;
  /** Maximum concurrent uploads of one object by a node; two by default. */
  readonly uploadsPerNode?: number;
  /** Milliseconds since 1970; Date.now by default. */
  readonly nowMs?: () => number;
}

type Located = {
  path: string;
  source: 'OBJECT_SOURCE_MEMORY' | 'OBJECT_SOURCE_SPILL' | 'OBJECT_SOURCE_REMOTE';
};

export class NodeObjects {
  readonly #options: NodeObjectsOptions;
  readonly #nowMs: () => number;
  readonly #directory: ObjectDirectory;
  readonly #files: StoreFiles;
  readonly #room: ObjectRoom;
  readonly #exchange: ObjectExchange;
  readonly #holds: NodeHolds;
  #sessions = 0;
  #isClosed = false;

  /** Removes the remains of killed nodes from the folders, then creates its own. */
  constructor(options: NodeObjectsOptions) {
    const {
      dirs,
      nodeId,
      registry,
      capacityBytes,
      address,
      pool,
      uploadsPerNode = UPLOADS_PER_NODE,
    } = options;
    for (const root of new Set([dirs.memory, dirs.spill])) removeLeftovers(root);
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    const directory = new ObjectDirectory(capacityBytes);
    const files = new StoreFiles(dirs.memory, dirs.spill, nodeId);
    const use = () => ({
      ...directory.use(),
      reusable: { bytes: files.blankBytes, count: files.blankCount },
    });
    const metrics = new NodeObjectMetrics(registry, use, capacityBytes);
    const room = new ObjectRoom(directory, files, metrics);
    this.#directory = directory;
    this.#files = files;
    this.#room = room;
    this.#exchange = new ObjectExchange({
      address,
      pool,
      directory,
      files,
      room,
      metrics,
      uploadsPerNode,
      nowMs: this.#nowMs,
    });
    const isCounted = (id: string) => directory.get(id)?.owner === REFERENCES_OWNER;
    this.#holds = new NodeHolds({
      ...{ address, transport: pool, nowMs: this.#nowMs, isCounted },
      onUnheld: (ids) => void this.free(ids.filter(isCounted)),
    });
  }

  /** Folder of the objects in memory. */
  get folder(): string {
    return this.#files.folder;
  }

  /**
   * Frees the objects of an ended actor's process to which nobody else has a reference, and ends its reads. If the
   * actor starts again, its references stay until then and for a while, so that the next process can take over its
   * arguments; `restartMs` is the delay, null for never.
   */
  async ownerEnded(owner: string, restartMs: number | null = null): Promise<void> {
    const ids = this.#directory.ownedBy(owner);
    this.#directory.ownerEnded(owner);
    if (restartMs !== null) this.#holds.restarting(owner, restartMs);
    else this.#holds.ended(owner);
    await this.free(ids);
  }

  /** Drops expired holds, and renews those of this node; called every five seconds in any case. */
  async expireHolds(): Promise<void> {
    await this.#holds.tick();
  }

  /** Frees objects here and on all nodes known to have copies. Returns how many there were here. */
  async free(ids: readonly string[]): Promise<number> {
    if (this.#isClosed) return 0;
    const copies = new Map<string, string[]>(); // node → ids
    let freed = 0;
    for (const id of ids) {
      const nodes = this.#exchange.forget(id);
      this.#holds.forget(id);
      this.#holds.ended(objectHolder(id));
      if (this.#room.drop(id)) freed++;
      for (const node of nodes) copies.set(node, [...(copies.get(node) ?? []), id]);
    }
    const requests = [...copies].map(([node, held]) =>
      serviceCalls(objectService, this.#options.pool, node).free(
        { ids: held },
        { deadlineMs: FREE_DEADLINE_MS },
      ),
    );
    await Promise.allSettled(requests); // a node that cannot be reached keeps a copy, which it may evict
    return freed;
  }

  /**
   * Forgets copies of objects from a lost node, whose owners are lost too; without a node, of objects from any other
   * node.
   */
  dropCopies(nodeId?: string): void {
    const prefix = nodeId === undefined ? '' : `${nodeId}/`;
    for (const { ref, kind } of [...this.#directory.all()]) {
      if (kind === 'secondary' && ref.id.startsWith(prefix)) this.#room.drop(ref.id);
    }
  }

  /** Closes the store: its files are gone. */
  close(): void {
    this.#isClosed = true;
    this.#holds.close();
    this.#files.close();
  }

  handlers(): Implementation<ObjectServiceHandlers, CallContext> {
    return {
      join: ({ owner }) => {
        this.#directory.ownerBegan(owner);
        const { nodeId, capacityBytes } = this.#options;
        return { nodeId, capacityBytes, session: ++this.#sessions, folder: this.#files.folder };
      },
      reserve: async ({ id, sizeBytes, owner }) => ({
        path: await this.#room.reserve({ id, sizeBytes, owner }),
      }),
      seal: async ({ object, owner, content, counted }) => {
        await this.#seal(required(object), owner, content);
        if (counted) this.#count(required(object).id, owner);
      },
      hold: async (request) => {
        if (!this.#directory.hasEnded(request.holder)) await this.#holds.note(request);
      },
      locate: ({ object, owner }, { signal }) => this.#locate(required(object), owner, signal),
      unpin: ({ id, owner }) => this.#directory.unpin(id, owner),
      handOver: ({ ids, owner }) => {
        for (const id of ids) this.#directory.handOver(id, owner);
      },
      free: async ({ ids }) => ({ freed: await this.free(ids) }),
      findSource: ({ object, receiver, failed }) => ({
        source: this.#exchange.findSource(required(object), receiver, failed),
      }),
      digest: async ({ id }) => ({ digest: await this.#exchange.digest(id) }),
      report: ({ id, receiver, isHolder }) => this.#exchange.report(id, receiver, isHolder),
      pull: ({ id, digest, offset }) => this.#chunks(id, digest, offset),
      listObjects: () => ({ objects: this.#list() }),
    };
  }

  #list(): ObjectStatus[] {
    const statuses = [...this.#directory.all()].map(({ ref, kind, owner, place }) => ({
      ...ref,
      kind: place === 'spill' ? ('OBJECT_KIND_SPILLED' as const) : KINDS[kind],
      owner,
      pins: this.#directory.pinCount(ref.id),
      holders: [this.#options.address, ...this.#exchange.holders(ref.id)],
      referrers: this.#holds.holders(ref.id),
    }));
    return statuses.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #count(id: string, owner: string): void {
    this.#directory.handOver(id, REFERENCES_OWNER);
    this.#holds.begin(id, owner);
  }

  async *#chunks(id: string, digest: string, offset: number) {
    for await (const chunk of this.#exchange.serve(id, digest, offset)) yield { chunk };
  }

  async #seal(ref: ObjectRef, owner: string, content: Uint8Array): Promise<void> {
    const { id, sizeBytes } = ref;
    fileNameOf(ref);
    const reserved = this.#directory.reservation(id);
    const path = reserved?.path ?? (await this.#room.reserve({ id, sizeBytes, owner }));
    try {
      if (reserved === undefined) writeFileSync(path, content, { mode: 0o600 });
      this.#files.seal(path, ref);
      this.#directory.seal({ id, sizeBytes, digest: ref.digest }, 'primary', owner, this.#nowMs());
    } catch (thrown) {
      this.#room.drop(id);
      this.#files.discard(this.#files.path(ref));
      throw thrown;
    }
  }

  async #locate(ref: ObjectRef, owner: string, signal: AbortSignal): Promise<Located> {
    fileNameOf(ref);
    this.#directory.pin(ref.id, owner);
    try {
      const here = this.#find(ref);
      if (here !== undefined) return this.#locationOf(here);
      await this.#exchange.fetch(ref, signal);
      const brought = this.#find(ref);
      if (brought === undefined) throw new ObjectError('NOT_FOUND', ref.id, 'it was freed');
      return { ...this.#locationOf(brought), source: 'OBJECT_SOURCE_REMOTE' };
    } catch (thrown) {
      this.#directory.unpin(ref.id, owner);
      throw thrown;
    }
  }

  #find(ref: ObjectRef): HeldObject | undefined {
    const held = this.#directory.get(ref.id);
    if (held === undefined) return undefined;
    if (held.ref.digest !== ref.digest) throw wrongDigest(ref.id, held.ref.digest, ref.digest);
    held.lastUsedMs = this.#nowMs();
    return held;
  }

  #locationOf({ place, ref }: HeldObject): Located {
    return place === 'memory'
      ? { path: this.#files.path(ref), source: 'OBJECT_SOURCE_MEMORY' }
      : { path: this.#files.spillPath(ref), source: 'OBJECT_SOURCE_SPILL' };
  }
}

/** An object as the holder of the references in its value. */
export function objectHolder(id: string): string {
  return `object/${id}`;
}

function required(ref: ObjectRef | null): ObjectRef {
  if (ref === null) throw new CallError('INVALID_ARGUMENT', 'object: missing; name one');
  return ref;
}
