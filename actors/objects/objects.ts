/**
 * Bulk data by reference, for one process. `put` writes bytes into the store of this process's node and returns a ref
 * that travels in messages; a process that needs the bytes reads them from a file on the same machine, or through its
 * own node from another. Nothing is ever pushed.
 *
 * Bytes are shared, not copied, within a process: neither the putter nor any getter may change them afterwards.
 */

import type { Registry } from 'prom-client';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { shown } from '../base/checks.ts';
import { CallError } from '../base/call-errors.ts';
import { NODE_OWNER } from './object-directory.ts';
import { HeldReferences } from './held-references.ts';
import { ProcessObjectMetrics } from './object-metrics.ts';
import { ObjectReader } from './object-reader.ts';
import { checkRef, checkRefs, digestOf, inlineBytes, isDigest, ObjectError } from './object-ref.ts';
import type { Bytes, ObjectRef } from './object-ref.ts';
import type { CallOptions } from '../proto/protos.ts';
import { objectService } from '../proto/runtime-services.ts';
import { writeWhole } from './shared-memory.ts';
import { StoreMember } from './store-member.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';
import { waitForAll, type WaitOptions, type WaitResult } from './object-wait.ts';

const MIB = 1024 * 1024;
/**
 * Objects up to this size are stored inside their references; larger ones would inflate every message that holds one.
 */
const INLINE_BYTES = 8 * 1024;
/** Objects up to this size travel in the call that publishes them. */
const RIDING_BYTES = 64 * 1024;

export interface ObjectStoreOptions {
  /** Owner of this process's objects: actor id and incarnation, as `trainer/1`. */
  readonly owner: string;
  /** host:port of this process's node. */
  readonly nodeAddress: string;
  readonly transport: Transport;
  readonly registry: Registry;
  /** Maximum bytes of own puts and gets cached in the process; 64 MiB by default. */
  readonly cacheBytes?: number;
}

export interface PutOptions {
  /**
   * Lifetime: freed with this process (`actor`, the default), kept until freed or until the node ends (`node`), or as
   * long as `references` are held.
   */
  readonly owner?: 'actor' | 'node' | 'references';
  /** Its SHA-256 in lower-case hex, if the caller has computed it already; other nodes detect a wrong one. */
  readonly digest?: string;
  /** Computes the digest now, for the reference. By default it is computed when the object first leaves its machine. */
  readonly withDigest?: boolean;
  /** Keeps even small bytes in the store; otherwise they travel inside the reference where possible. */
  readonly isStored?: boolean;
}

interface Publication {
  readonly id: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly owner: string;
  readonly counted: boolean;
  readonly known: string | undefined;
  readonly withDigest: boolean;
}

export class ObjectStore {
  readonly #member: StoreMember;
  readonly #reader: ObjectReader;
  readonly #metrics: ProcessObjectMetrics;
  /** References that this process holds, where they are counted. */
  readonly references: HeldReferences;
  #count = 0;

  constructor(options: ObjectStoreOptions) {
    const { owner, nodeAddress, transport, registry, cacheBytes = 64 * MIB } = options;
    this.#member = new StoreMember(owner, nodeAddress, transport);
    this.#metrics = new ProcessObjectMetrics(registry);
    this.#reader = new ObjectReader(this.#member, this.#metrics, cacheBytes);
    this.references = new HeldReferences(this.#member);
  }

  /**
   * Keeps bytes until they are freed or their owner ends. Small ones travel inside the reference, unless the node owns
   * them.
   * @throws ObjectError RESOURCE_EXHAUSTED when they do not fit, naming use and limit.
   */
  async put(bytes: Bytes, options: PutOptions = {}): Promise<ObjectRef> {
    const { owner = 'actor', digest: known, withDigest = known !== undefined, isStored = false } = options;
    const parts = checkPut(bytes, options);
    const sizeBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const isInline = owner !== 'node' && !withDigest && !isStored && sizeBytes <= INLINE_BYTES;
    if (isInline) return this.#inline(parts);
    const { nodeId, session } = await this.#member.join();
    const id = `${nodeId}/${this.#member.owner}/${session}-${++this.#count}`;
    try {
      const digest = await this.#publish({
        ...{ id, parts, sizeBytes, known, withDigest },
        owner: owner === 'node' ? NODE_OWNER : this.#member.owner,
        counted: owner === 'references',
      });
      const ref = { id, sizeBytes, digest, holders: [this.#member.nodeAddress] };
      if (bytes instanceof Uint8Array) this.#reader.remember(ref, bytes);
      this.#metrics.put(sizeBytes);
      return ref;
    } catch (thrown) {
      this.#metrics.failed('put', thrown);
      throw asObjectError(id, thrown);
    }
  }

  /**
   * The bytes of a ref: from this process's cache, otherwise from a file of this node, otherwise from another node.
   * Simultaneous gets of one object share the work. Default deadline: a minute.
   * @throws ObjectError NOT_FOUND, UNAVAILABLE, RESOURCE_EXHAUSTED or DATA_LOSS, naming each node tried; the signal's
   * reason.
   */
  get(ref: ObjectRef, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#got(ref, options, (found) => this.#reader.get(found, options));
  }

  /** The same, in memory that nobody else in this process has; mapped from 1 MiB up where possible. @throws as `get` */
  async read(ref: ObjectRef, options: CallOptions = {}): Promise<Uint8Array> {
    const bytes = await this.#got(ref, options, (found) => this.#reader.read(found, options));
    return bytes === ref.inline ? Uint8Array.from(bytes) : bytes;
  }

  /**
   * Brings objects to this node until `count` of them (by default all) are here, all have settled, or the deadline
   * passes, whichever is first. Never throws for an object: one that cannot be obtained is `failed`.
   */
  async wait(refs: readonly ObjectRef[], options: WaitOptions = {}): Promise<WaitResult> {
    checkRefs(refs);
    const bring = async (ref: ObjectRef, signal: AbortSignal) => {
      if (inlineBytes(ref) === undefined) await this.#reader.bring(ref, signal);
    };
    return waitForAll(refs, bring, options);
  }

  /** Frees objects wherever they are held. Nodes that are gone have freed them already. */
  async free(refs: readonly ObjectRef[], options: CallOptions = {}): Promise<void> {
    checkRefs(refs);
    for (const ref of refs) this.#reader.forget(ref);
    const holders = new Set(refs.flatMap((ref) => ref.holders));
    const requests = [...holders].map((holder) => {
      const ids = refs.filter((ref) => ref.holders.includes(holder)).map(({ id }) => id);
      return serviceCalls(objectService, this.#member.transport, holder).free({ ids }, options);
    });
    for (const result of await Promise.allSettled(requests)) {
      if (result.status === 'fulfilled') continue;
      const isGone = result.reason instanceof CallError && result.reason.code === 'UNAVAILABLE';
      if (!isGone) throw result.reason;
    }
  }

  /**
   * Transfers objects to another owner: a process of the node where they were put, as `trainer/1`, or `node`, which
   * keeps them until they are freed. @throws CallError NOT_FOUND, or FAILED_PRECONDITION when that process has ended.
   */
  async handOver(refs: readonly ObjectRef[], toOwner: string, options: CallOptions = {}): Promise<void> {
    checkRefs(refs);
    const stored = refs.filter((ref) => inlineBytes(ref) === undefined);
    const originOf = (ref: ObjectRef) => ref.holders[0] ?? this.#member.nodeAddress;
    for (const origin of new Set(stored.map(originOf))) {
      const ids = stored.filter((ref) => originOf(ref) === origin).map(({ id }) => id);
      await serviceCalls(objectService, this.#member.transport, origin).handOver(
        { ids, owner: toOwner },
        options,
      );
    }
  }

  async #got(
    ref: ObjectRef,
    { signal }: CallOptions,
    read: (ref: ObjectRef) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    checkRef(ref);
    signal?.throwIfAborted();
    const inline = inlineBytes(ref);
    if (inline !== undefined) return inline;
    try {
      return await read(ref);
    } catch (thrown) {
      this.#metrics.failed('get', thrown);
      throw signal?.aborted === true ? thrown : asObjectError(ref.id, thrown);
    }
  }

  #inline(parts: readonly Uint8Array[]): ObjectRef {
    const id = `inline/${this.#member.owner}/${++this.#count}`;
    const inline = Uint8Array.from(Buffer.concat(parts)); // a separate buffer, not part of a pool
    this.#metrics.put(inline.byteLength);
    return { id, sizeBytes: inline.byteLength, digest: '', holders: [], inline };
  }

  /** Resolves to the digest; empty where there is none. */
  async #publish(publication: Publication): Promise<string> {
    const { id, parts, sizeBytes, owner, counted, known, withDigest } = publication;
    const { node } = this.#member;
    const digest = known ?? (withDigest ? digestOf(parts) : '');
    if (sizeBytes <= RIDING_BYTES) {
      const object = { id, sizeBytes, digest: await digest };
      await node.seal({ object, owner, counted, content: Buffer.concat(parts) });
      return object.digest;
    }
    const { path } = await node.reserve({ id, sizeBytes, owner });
    try {
      const [made] = await Promise.all([digest, writeWhole(path, parts)]);
      await node.seal({ object: { id, sizeBytes, digest: made }, owner, counted });
      return made;
    } catch (thrown) {
      await node.free({ ids: [id] }).catch(() => undefined); // the node is gone, or has dropped it by itself
      throw thrown;
    }
  }
}

const OWNERS: readonly unknown[] = ['actor', 'node', 'references'];

/** The parts of the given bytes. @throws UserError if they are invalid. */
function checkPut(bytes: unknown, options: PutOptions): readonly Uint8Array[] {
  const parts: readonly unknown[] = Array.isArray(bytes) ? bytes : [bytes];
  if (!parts.every((part) => part instanceof Uint8Array))
    throw new UserError(
      `put of ${shown(bytes)}: give it bytes (a Uint8Array); \`ballast.put\` takes any value.`,
    );
  const { owner = 'actor', digest } = options;
  if (!OWNERS.includes(owner))
    throw new UserError(`put, owner = ${shown(owner)}: choose 'actor', 'node' or 'references'.`);
  if (digest !== undefined && !isDigest(digest))
    throw new UserError(`put, digest = ${shown(digest)}: it must be a SHA-256 in lower-case hex.`);
  return parts;
}

/** Converts a failure into one of the object, whichever process noticed it. */
function asObjectError(id: string, thrown: unknown): Error {
  if (thrown instanceof ObjectError) return thrown;
  const prefix = `Object ${id}: `;
  if (thrown instanceof CallError) {
    const message = thrown.message.startsWith(prefix) ? thrown.message.slice(prefix.length) : thrown.message;
    return new ObjectError(thrown.code, id, message, { cause: thrown });
  }
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `the folder of the node's store is full: ${toError(thrown).message}`;
    return new ObjectError('RESOURCE_EXHAUSTED', id, message, { cause: thrown });
  }
  return toError(thrown);
}
