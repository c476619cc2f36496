import { describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { float32, int32 } from './array.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';

const arrays = {
  'b.weight': float32([2, 2], [1, -2.5, 3e-40, Infinity]),
  a: int32([3], [1, -2, 2 ** 31 - 1]),
  mask: { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
  image: { dtype: 'uint8', shape: [1, 3], data: Uint8Array.of(0, 128, 255) },
} as const;

describe('safetensors', () => {
  it('has the published layout', () => {
    // Eight bytes of header size, JSON padded with spaces to eight bytes, then the arrays in name order.
    const file = encodeSafetensors({ x: float32([1], [1.5]) }, { note: 'hi' });
    const size = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(size % 8).toBe(0);
    const header = new TextDecoder().decode(file.subarray(8, 8 + size));
    expect(JSON.parse(header)).toEqual({
      __metadata__: { note: 'hi' },
      x: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    });
    expect([...file.subarray(8 + size)]).toEqual([0, 0, 0xc0, 0x3f]); // 1.5 in little-endian IEEE 754
  });

  it('gives back what it was given, also from a Buffer that shares memory', () => {
    const file = encodeSafetensors(arrays, { kind: 'test' });
    const shared = Buffer.alloc(file.length + 3);
    shared.set(file, 3);
    for (const bytes of [file, shared.subarray(3)]) {
      const decoded = decodeSafetensors(bytes);
      expect(decoded.metadata).toEqual({ kind: 'test' });
      expect(decoded.arrays).toEqual(arrays);
    }
  });

  it('gives equal bytes for equal contents', () => {
    const { a, ...rest } = arrays;
    expect(encodeSafetensors({ a, ...rest })).toEqual(encodeSafetensors({ ...rest, a }));
  });

  it.each([
    ['nothing', new Uint8Array(3)],
    ['a header that is too long', Uint8Array.of(255, 255, 255, 0, 0, 0, 0, 0, 1)],
    ['a header that is no JSON', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0x5b)],
    ['arrays that are cut short', encodeSafetensors(arrays).slice(0, -1)],
  ])('refuses %s', (_what, bytes) => {
    expect(() => decodeSafetensors(bytes, 'model.safetensors')).toThrow(UserError);
    expect(() => decodeSafetensors(bytes, 'model.safetensors')).toThrow(/^model\.safetensors: /);
  });

  /** A file with this header and `bytes` bytes of arrays. */
  function lying(header: unknown, bytes: number): Uint8Array {
    const json = new TextEncoder().encode(JSON.stringify(header));
    const file = new Uint8Array(8 + json.length + bytes);
    new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
    file.set(json, 8);
    return file;
  }
  const bytesAt = (from: number, to: number, shape: unknown = [to - from]) => ({
    dtype: 'U8',
    shape,
    data_offsets: [from, to],
  });

  it.each([
    ['a header that is a list', [], 'its header is not a JSON object'],
    ['metadata that are none', { __metadata__: [] }, 'its header is not a JSON object'],
    ['an entry that is null', { a: null }, "describes no array under 'a'"],
    ['an entry without a place', { a: { dtype: 'U8', shape: [4] } }, "describes no array under 'a'"],
    ['a negative extent', { a: bytesAt(0, 4, [-1]) }, "describes no array under 'a'"],
    ['an extent that is a text', { a: bytesAt(0, 4, ['4']) }, "describes no array under 'a'"],
    ['a place before the file', { a: bytesAt(-4, 0, [4]) }, "describes no array under 'a'"],
    [
      'a place beyond the file',
      { a: bytesAt(0, 1e12) },
      'holds 4 bytes of arrays where its header places 1000000000000',
    ],
    ['a place that ends before it begins', { a: bytesAt(4, 0, [0]) }, 'overlap, or have gaps'],
    ['arrays that overlap', { a: bytesAt(0, 4), b: bytesAt(2, 4) }, 'overlap, or have gaps'],
    [
      'a thousand arrays in one place',
      Object.fromEntries([...Array(1000).keys()].map((i) => [i, bytesAt(0, 4)])),
      'overlap',
    ],
    ['a gap', { a: bytesAt(0, 1), b: bytesAt(2, 4) }, 'overlap, or have gaps'],
    ['bytes of no array', { a: bytesAt(0, 2) }, 'holds 4 bytes of arrays where its header places 2'],
    ['a shape of another size', { a: bytesAt(0, 4, [2 ** 31, 2 ** 31]) }, "array 'a' is damaged"],
    ['another type', { a: { ...bytesAt(0, 4), dtype: 'F64' } }, "array 'a' has type F64"],
  ])('refuses %s', (_what, header, message) => {
    expect(() => decodeSafetensors(lying(header, 4), 'm')).toThrow(UserError);
    expect(() => decodeSafetensors(lying(header, 4), 'm')).toThrow(message);
  });

  it('reads half-precision numbers and 64-bit counts of other programs', () => {
    const header = {
      half: { dtype: 'F16', shape: [4], data_offsets: [0, 8] },
      brain: { dtype: 'BF16', shape: [2], data_offsets: [8, 12] },
      count: { dtype: 'I64', shape: [], data_offsets: [12, 20] },
    };
    const file = lying(header, 20);
    const start = file.length - 20;
    // IEEE 754: 1.5, −2⁻²⁴ (subnormal), ∞, 65504; the upper halves of 1.5 and −3; 7
    new Uint8Array(file.buffer).set(
      [0, 0x3e, 1, 0x80, 0, 0x7c, 0xff, 0x7b, 0xc0, 0x3f, 0x40, 0xc0, 7],
      start,
    );
    const { half, brain, count } = decodeSafetensors(file).arrays;
    expect(Array.from(half!.data)).toEqual([1.5, -(2 ** -24), Infinity, 65504]);
    expect(Array.from(brain!.data)).toEqual([1.5, -3]);
    expect(count).toEqual({ dtype: 'int32', shape: [], data: Int32Array.of(7) });
  });

  it('takes any name for an array', () => {
    const file = lying(JSON.parse('{"__proto__": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}'), 4);
    const { arrays } = decodeSafetensors(file);
    expect(Object.keys(arrays)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(arrays)).toBe(Object.prototype);
  });
});
