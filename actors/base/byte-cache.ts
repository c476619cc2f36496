/** A cache of bytes by key with a limit on their total size; it evicts the least recently used first. */
export class ByteCache {
  readonly capacityBytes: number;
  readonly #entries = new Map<string, Uint8Array>(); // ordered by last use
  #sizeBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get(key: string): Uint8Array | undefined {
    const bytes = this.#entries.get(key);
    if (bytes === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, bytes);
    return bytes;
  }

  /** Keeps `bytes`, unless they are larger than the whole cache. */
  set(key: string, bytes: Uint8Array): void {
    this.delete(key);
    if (bytes.byteLength > this.capacityBytes) return;
    this.#entries.set(key, bytes);
    this.#sizeBytes += bytes.byteLength;
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.capacityBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const bytes = this.#entries.get(key);
    if (bytes === undefined) return;
    this.#entries.delete(key);
    this.#sizeBytes -= bytes.byteLength;
  }
}
