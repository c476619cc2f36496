/**
 * Images that lie in the packs of the image cache, read by need. A read is a copy out of the system's page cache where the
 * image was read before, so nothing is kept here: how much memory images take is the system's to decide.
 */
import { openSync, readSync } from 'node:fs';
import type { Images } from '../images.ts';

/** The place of an image: its pack, and its position there. */
export interface Place {
  /** Path of the pack's images. */
  readonly pack: string;
  readonly slot: number;
}

export class PackedImages implements Images {
  readonly length: number;
  readonly #size: number;
  readonly #slots: Int32Array;
  readonly #packs: Int32Array;
  readonly #files: readonly number[];

  /** Images of `size` bytes at `places`. Opens the packs at once: they may be removed afterwards. */
  constructor(places: readonly Place[], size: number) {
    const packs = new Map<string, number>();
    const files: number[] = [];
    for (const { pack } of places)
      if (!packs.has(pack)) {
        packs.set(pack, files.length);
        files.push(openSync(pack, 'r'));
      }
    this.length = places.length * size;
    this.#size = size;
    this.#files = files;
    this.#packs = Int32Array.from(places, ({ pack }) => packs.get(pack)!);
    this.#slots = Int32Array.from(places, ({ slot }) => slot);
  }

  subarray(from: number, to: number): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(to, this.length) - from));
    for (let at = 0; at < bytes.length;) {
      const image = Math.floor((from + at) / this.#size);
      const inside = (from + at) % this.#size;
      const count = Math.min(this.#size - inside, bytes.length - at);
      this.#read(image, inside, bytes.subarray(at, at + count));
      at += count;
    }
    return bytes;
  }

  #read(image: number, inside: number, target: Uint8Array): void {
    const file = this.#files[this.#packs[image]!]!;
    const position = this.#slots[image]! * this.#size + inside;
    for (let done = 0; done < target.length;) {
      const count = readSync(file, target, done, target.length - done, position + done);
      if (count === 0) throw new Error(`a pack of the image cache ends at byte ${position + done}`);
      done += count;
    }
  }
}
