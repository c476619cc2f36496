/**
 * Decoded images [n, height, width, channels], row-major bytes 0..255, one after the other: in memory (a Uint8Array),
 * or elsewhere and read on demand (cache/packed-images.ts). Results of `subarray` may be shared and must not be written
 * to.
 */

export interface Images {
  /** Bytes of all images. */
  readonly length: number;
  /** Bytes `from` to `to`, exclusive. */
  subarray(from: number, to: number): Uint8Array;
}

const CHUNK_BYTES = 2 ** 24;
/** Images of a split up to this size are kept in memory. */
export const IN_MEMORY_BYTES = 2 ** 28;

/** All bytes in order, a few megabytes at a time. */
export function* chunksOf(images: Images): Generator<Uint8Array> {
  for (let from = 0; from < images.length; from += CHUNK_BYTES)
    yield images.subarray(from, Math.min(images.length, from + CHUNK_BYTES));
}

/** Several sets of images as one. Small sets in memory are copied; for the others, `subarray` is forwarded. */
export function joinImages(parts: readonly Images[]): Images {
  const filled = parts.filter(({ length }) => length > 0);
  if (filled.length === 1) return filled[0]!;
  const total = filled.reduce((sum, { length }) => sum + length, 0);
  const inMemory = filled.filter((part) => part instanceof Uint8Array);
  if (inMemory.length === filled.length && total <= IN_MEMORY_BYTES) return Buffer.concat(inMemory);
  const starts = [0];
  for (const { length } of filled) starts.push(starts.at(-1)! + length);
  return {
    length: starts.at(-1)!,
    subarray(from, to) {
      const first = starts.findLastIndex((start) => start <= from);
      if (first < filled.length && to <= starts[first + 1]!)
        return filled[first]!.subarray(from - starts[first]!, to - starts[first]!);
      const bytes = new Uint8Array(to - from);
      filled.forEach((part, i) => {
        const [begin, end] = [Math.max(from, starts[i]!), Math.min(to, starts[i + 1]!)];
        if (begin < end) bytes.set(part.subarray(begin - starts[i]!, end - starts[i]!), begin - from);
      });
      return bytes;
    },
  };
}

/** The images at `indices`, each of `size` bytes, copied into memory. */
export function gatherImages(images: Images, indices: ArrayLike<number>, size: number): Uint8Array {
  const bytes = new Uint8Array(indices.length * size);
  for (let i = 0; i < indices.length; i++)
    bytes.set(images.subarray(indices[i]! * size, (indices[i]! + 1) * size), i * size);
  return bytes;
}

/** The images at `indices`, each of `size` bytes, as a separate set: copied if they are in memory. */
export function pickImages(images: Images, indices: readonly number[], size: number): Images {
  if (images instanceof Uint8Array) return gatherImages(images, indices, size);
  return {
    length: indices.length * size,
    subarray(from, to) {
      const bytes = new Uint8Array(to - from);
      for (let at = from; at < to;) {
        const inside = at % size;
        const end = Math.min(to, at - inside + size);
        const start = indices[Math.floor(at / size)]! * size;
        bytes.set(images.subarray(start + inside, start + inside + end - at), at - from);
        at = end;
      }
      return bytes;
    },
  };
}

/** All of them in memory: for sets that are known to be small. */
export function bytesOf(images: Images): Uint8Array {
  return images.subarray(0, images.length);
}
