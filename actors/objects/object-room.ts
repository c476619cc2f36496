/**
 * Makes room in a node's store. When memory is short, it first removes files kept for reuse, then secondary copies,
 * then moves primary objects to disk. If that is not enough, it refuses, and nothing is lost.
 */

import { errorCode, toError } from '../../common/errors.ts';
import type { HeldObject, ObjectDirectory, Reservation } from './object-directory.ts';
import type { NodeObjectMetrics } from './object-metrics.ts';
import { ObjectError } from './object-ref.ts';
import { lastUseOf, type StoreFiles } from './shared-memory.ts';

export class ObjectRoom {
  readonly #directory: ObjectDirectory;
  readonly #files: StoreFiles;
  readonly #metrics: NodeObjectMetrics;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directory: ObjectDirectory, files: StoreFiles, metrics: NodeObjectMetrics) {
    this.#directory = directory;
    this.#files = files;
    this.#metrics = metrics;
  }

  /** Makes room for a new object; one at a time. Resolves to the file to write it to. @throws ObjectError. */
  reserve(request: Omit<Reservation, 'path'>): Promise<string> {
    const turn = this.#queue.then(() => this.#reserve(request));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  /** Forgets an object or reservation and its file. Returns whether there was one. */
  drop(id: string): boolean {
    const held = this.#directory.get(id);
    const reservation = this.#directory.reservation(id);
    this.#directory.remove(id);
    if (reservation !== undefined) this.#files.discard(reservation.path); // somebody may still write to it
    if (held?.place === 'spill') this.#files.discard(this.#files.spillPath(held.ref));
    if (held?.place === 'memory') this.#releaseFile(held);
    return held !== undefined;
  }

  #releaseFile({ ref }: HeldObject): void {
    const path = this.#files.path(ref);
    const keepBytes = this.#directory.capacityBytes - this.#directory.memoryBytes;
    if (this.#directory.isPinned(ref.id)) this.#files.discard(path);
    else this.#files.recycle(path, ref.sizeBytes, keepBytes);
  }

  async #reserve(request: Omit<Reservation, 'path'>): Promise<string> {
    const { id, sizeBytes } = request;
    const directory = this.#directory;
    while (directory.memoryBytes + sizeBytes > directory.capacityBytes) await this.#makeRoom(id, sizeBytes);
    const path = this.#files.take(sizeBytes);
    try {
      directory.reserve({ ...request, path });
    } catch (thrown) {
      this.#files.discard(path);
      throw thrown;
    }
    this.#files.trimBlanks(directory.capacityBytes - directory.memoryBytes);
    return path;
  }

  /** Takes one step; the plan is made again after each, because objects come and go meanwhile. */
  async #makeRoom(id: string, sizeBytes: number): Promise<void> {
    this.#noteUse();
    const { evict, spill, missingBytes } = this.#directory.planRoom(sizeBytes, ({ ref }) =>
      this.#files.isMapped(this.#files.path(ref), ref.sizeBytes),
    );
    if (missingBytes > 0) throw this.#exhausted(id, sizeBytes, 'the rest is being written or read');
    for (const held of evict) {
      this.drop(held.ref.id);
      this.#metrics.evicted();
    }
    if (spill[0] !== undefined) await this.#spill(spill[0], id, sizeBytes);
  }

  /** Readers record their use in the file itself, without a message to the node. */
  #noteUse(): void {
    for (const held of this.#directory.all()) {
      if (held.place === 'memory')
        held.lastUsedMs = Math.max(held.lastUsedMs, lastUseOf(this.#files.path(held.ref)));
    }
  }

  async #spill(held: HeldObject, id: string, sizeBytes: number): Promise<void> {
    const { ref } = held;
    try {
      await this.#files.copyToDisk(ref);
    } catch (thrown) {
      if (this.#directory.get(ref.id) !== held) return; // freed while it was copied
      const why = errorCode(thrown) === 'ENOSPC' ? 'the disk is full' : toError(thrown).message;
      throw this.#exhausted(id, sizeBytes, `nothing can move to disk: ${why}`, thrown);
    }
    if (this.#directory.get(ref.id) !== held || this.#directory.isPinned(ref.id)) {
      return this.#files.discard(this.#files.spillPath(ref));
    }
    this.#directory.spilled(held);
    this.#releaseFile(held);
    this.#metrics.spilled();
  }

  #exhausted(id: string, sizeBytes: number, why: string, cause?: unknown): ObjectError {
    const { memoryBytes, capacityBytes } = this.#directory;
    const { primary, secondary, reserved } = this.#directory.use();
    const parts = `${primary.bytes} of objects put here, ${secondary.bytes} of copies, ${reserved.bytes} being written`;
    const use = `${memoryBytes} of ${capacityBytes} bytes are used (${parts})`;
    const message = `${sizeBytes} bytes do not fit: ${use}; ${why}; free some objects or raise the node's capacity`;
    return new ObjectError('RESOURCE_EXHAUSTED', id, message, { cause });
  }
}
