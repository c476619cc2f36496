/** Distances between sets of byte images, in pixels: root mean square of the difference, scaled to the range [0, 2]. */

/** For each image of `from` the distance to the nearest of `to`; images of `size` bytes. */
export function nearestDistances(from: Uint8Array, to: Uint8Array, size: number): Float64Array {
  return Float64Array.from({ length: from.length / size }, (_, i) => {
    let least = Infinity;
    for (let j = 0; j < to.length; j += size)
      least = Math.min(least, squared(from, i * size, to, j, size, least));
    return toRange(least, size);
  });
}

/** Squared distance, or any number above `bound` once it exceeds that. */
function squared(a: Uint8Array, i: number, b: Uint8Array, j: number, size: number, bound: number): number {
  let sum = 0;
  for (let k = 0; k < size; k += 28) {
    const end = Math.min(k + 28, size);
    for (let p = k; p < end; p++) {
      const difference = a[i + p]! - b[j + p]!;
      sum += difference * difference;
    }
    if (sum > bound) return sum;
  }
  return sum;
}

function toRange(squaredBytes: number, size: number): number {
  return Math.sqrt(squaredBytes / size) / 127.5;
}
