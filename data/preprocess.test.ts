import { describe, expect, it } from 'vitest';
import { batchToFloat, preprocess, toBytes } from './preprocess.ts';

describe('preprocess', () => {
  it('maps 0, 51, 255 to -1, -0.6, 1 and puts channels first', () => {
    // Two pixels of three channels: (0, 51, 255) and (255, 0, 51).
    const floats = preprocess(Uint8Array.of(0, 51, 255, 255, 0, 51), 1, 1, 2, 3);
    expect([...floats]).toEqual([-1, 1, Math.fround(-0.6), -1, 1, Math.fround(-0.6)]);
  });

  it('is undone by toBytes for every byte', () => {
    const bytes = Uint8Array.from({ length: 2 * 4 * 32 * 3 }, (_, i) => i % 256);
    expect(toBytes(preprocess(bytes, 2, 4, 32, 3), 2, 4, 32, 3)).toEqual(bytes);
  });

  it('clips and rounds on the way back', () => {
    // (v + 1) · 127.5: -1.5 → below 0; 1.2 → above 255; 0 → 127.5, up to 128; -0.996 → 0.51, up to 1.
    expect([...toBytes(Float32Array.of(-1.5, 1.2, 0, -0.996), 1, 2, 2, 1)]).toEqual([0, 255, 128, 1]);
  });

  it('refuses data that does not fill the shape', () => {
    expect(() => preprocess(new Uint8Array(5), 1, 2, 2, 1)).toThrow(RangeError);
    expect(() => toBytes(new Float32Array(5), 1, 2, 2, 1)).toThrow(RangeError);
  });
});

describe('batchToFloat', () => {
  const set = {
    images: Uint8Array.of(0, 255, 51, 51, 255, 0),
    labels: Int32Array.of(0, 1, 0),
    ids: ['a', 'b', 'c'],
    groups: null,
  };

  it('equals preprocess of the gathered images', () => {
    expect(batchToFloat(set, [2, 0], 1)).toEqual(preprocess(Uint8Array.of(255, 0, 0, 255), 2, 1, 2, 1));
  });

  it('writes to the given array and refuses one too small', () => {
    const out = new Float32Array(5).fill(9);
    expect(batchToFloat(set, [1], 1, out)).toBe(out);
    expect([...out]).toEqual([Math.fround(-0.6), Math.fround(-0.6), 9, 9, 9]);
    expect(() => batchToFloat(set, [0, 1, 2], 1, out)).toThrow(RangeError);
  });
});
