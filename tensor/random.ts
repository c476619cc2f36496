/**
 * Counter-based random numbers: randomness is an argument, never ambient. Philox4x32-10 (Salmon, Moraes, Dror and Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps (key, counter) to 128 random bits, so any value of any
 * stream can be drawn anywhere, in any order, by any process, with the same result.
 *
 * A `Key` is 64 bits. `foldIn` derives keys; by convention, a key is either drawn from or folded, never both:
 * fold first (stream name, epoch, image id), draw last. Not for cryptography.
 */

export interface Key {
  readonly low: number;
  readonly high: number;
}

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const ROUNDS = 10;

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  const middle = aLow * bHigh + (cross & 0xffff);
  return (aHigh * bHigh + Math.floor(cross / 0x10000) + Math.floor(middle / 0x10000)) >>> 0;
}

/** One Philox4x32-10 block: writes four random words for a counter of four words to `out` at `offset`. */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  key: Key,
  out: Uint32Array,
  offset: number,
): void {
  let k0 = key.low;
  let k1 = key.high;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[offset] = c0;
  out[offset + 1] = c1;
  out[offset + 2] = c2;
  out[offset + 3] = c3;
}

/** The root key of a run; `seed` is a non-negative safe integer. Throws RangeError otherwise. */
export function keyFromSeed(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed must be a non-negative integer, not ${seed}`);
  return { low: seed >>> 0, high: Math.floor(seed / 0x100000000) >>> 0 };
}

/**
 * A key derived from `key` by each part in turn: a stream's name or a number (epoch, image id, step; a
 * non-negative safe integer). Different parts give independent streams.
 */
export function foldIn(key: Key, ...parts: readonly (string | number)[]): Key {
  const words = new Uint32Array(4);
  let derived = key;
  for (const part of parts) {
    const { low, high } = typeof part === 'string' ? hashName(part) : keyFromSeed(part);
    const tag = typeof part === 'string' ? 2 : 1; // keeps fold blocks apart from the draw blocks (tag 0)
    philox4x32(low, high, 0, tag, derived, words, 0);
    derived = { low: words[0]!, high: words[1]! };
  }
  return derived;
}

/** 64 bits of a name: FNV-1a over UTF-16 units, twice with different offsets. */
function hashName(name: string): Key {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = 0; i < name.length; i++) {
    low = Math.imul(low ^ name.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ name.charCodeAt(i), 0x01000193) + i;
  }
  return { low: low >>> 0, high: high >>> 0 };
}

/** `count` random 32-bit words of the key's stream. */
export function randomBits(key: Key, count: number): Uint32Array {
  const blocks = Math.ceil(count / 4);
  const words = new Uint32Array(blocks * 4);
  for (let block = 0; block < blocks; block++) philox4x32(block >>> 0, 0, 0, 0, key, words, block * 4);
  return words.subarray(0, count);
}

/** `count` uniform values in [0, 1), multiples of 2⁻²⁴ so that each is exact in float32. */
export function uniform(key: Key, count: number): Float32Array {
  return Float32Array.from(randomBits(key, count), (word) => (word >>> 8) * 2 ** -24);
}

/** `count` standard normal values (Box–Muller on pairs of 32-bit uniforms). */
export function normal(key: Key, count: number): Float32Array {
  const words = randomBits(key, count + (count % 2));
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((words[i]! + 1) * 2 ** -32)); // (0, 1]: never log 0
    const angle = words[i + 1]! * 2 ** -32 * 2 * Math.PI;
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** `count` integers in [0, bound); the bias is below bound / 2³². */
export function integers(key: Key, count: number, bound: number): Int32Array {
  if (!Number.isInteger(bound) || bound < 1)
    throw new RangeError(`bound must be a positive integer, not ${bound}`);
  return Int32Array.from(randomBits(key, count), (word) => Math.floor((word * bound) / 0x100000000));
}

/** A uniformly random order of 0 … count − 1 (Fisher–Yates). */
export function permutation(key: Key, count: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const words = randomBits(key, count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((words[i]! * (i + 1)) / 0x100000000);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
