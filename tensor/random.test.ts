import { describe, expect, it } from 'vitest';
import { foldIn, integers, keyFromSeed, normal, permutation, philox4x32, uniform } from './random.ts';

function block(counter: [number, number, number, number], low: number, high: number): string[] {
  const out = new Uint32Array(4);
  philox4x32(...counter, { low, high }, out, 0);
  return Array.from(out, (word) => word.toString(16).padStart(8, '0'));
}

describe('Philox4x32-10', () => {
  // Known-answer vectors published with Random123 (kat_vectors, philox4x32 10 rounds).
  it('matches the published vectors', () => {
    expect(block([0, 0, 0, 0], 0, 0)).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
    const ones = 0xffffffff;
    expect(block([ones, ones, ones, ones], ones, ones)).toEqual([
      '408f276d',
      '41c83b0e',
      'a20bc7c6',
      '6d5451fd',
    ]);
    expect(block([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], 0xa4093822, 0x299f31d0)).toEqual([
      'd16cfe09',
      '94fdcceb',
      '5001e420',
      '24126ea1',
    ]);
  });
});

describe('streams', () => {
  const key = foldIn(keyFromSeed(7), 'noise', 3);

  it('gives the same values for the same key and others for another', () => {
    expect(normal(key, 5)).toEqual(normal(foldIn(keyFromSeed(7), 'noise', 3), 5));
    expect(normal(key, 5)).not.toEqual(normal(foldIn(keyFromSeed(7), 'noise', 4), 5));
    expect(foldIn(keyFromSeed(7), 'a', 'b')).not.toEqual(foldIn(keyFromSeed(7), 'ab'));
    expect(foldIn(keyFromSeed(7), '3')).not.toEqual(foldIn(keyFromSeed(7), 3));
  });

  it('draws standard normal values', () => {
    const values = normal(key, 200_001);
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
    const kurtosis = values.reduce((sum, v) => sum + (v - mean) ** 4, 0) / values.length / variance ** 2;
    expect(Math.abs(mean)).toBeLessThan(0.01);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.1);
  });

  it('draws uniform values in [0, 1) and integers below their bound', () => {
    const values = uniform(key, 100_000);
    expect(Math.min(...values.subarray(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(values.every((v) => v >= 0 && v < 1)).toBe(true);
    expect(Math.abs(values.reduce((sum, v) => sum + v, 0) / values.length - 0.5)).toBeLessThan(0.005);
    const counts = new Array<number>(7).fill(0);
    for (const i of integers(key, 70_000, 7)) counts[i]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });

  it('permutes', () => {
    const order = permutation(key, 1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
  });

  it('refuses bad seeds and bounds', () => {
    expect(() => keyFromSeed(-1)).toThrow(RangeError);
    expect(() => keyFromSeed(1.5)).toThrow(RangeError);
    expect(() => integers(key, 1, 0)).toThrow(RangeError);
  });
});
