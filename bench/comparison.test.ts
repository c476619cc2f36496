import { expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import { ratioOf, requireEqual } from './comparison.ts';

it('divides their seconds by ours, round by round', () => {
  expect(ratioOf([1, 2, 4], [2, 2, 2])).toEqual({ ratio: 1, spread: [0.5, 2] });
  expect(ratioOf([1, 2], null)).toEqual({ ratio: null, spread: null });
});

it('refuses results that differ, and NaN on either side', () => {
  const check = (ours: number, theirs: number) => () =>
    requireEqual('case', { loss: float32([1], [ours]) }, { loss: float32([1], [theirs]) }, 1e-2);
  expect(check(200, 201)).not.toThrow(); // relative to values above 1
  expect(check(0.5, 0.52)).toThrow("case: loss of ours and the peer's differ by 0.020");
  expect(check(NaN, 1)).toThrow('differ by Infinity');
  expect(check(1, NaN)).toThrow('differ by Infinity');
});
