import { describe, expect, it } from 'vitest';
import { apportion } from './apportion.ts';

describe('apportion', () => {
  it('holds a class at the cap and shares the rest in proportion, by hand', () => {
    // 100 by 8:1:1 with cap 50: 50 left for 1:1.
    expect(apportion([8, 1, 1], 100, 0, 50)).toEqual([50, 25, 25]);
  });

  it('lifts a class to the floor at the expense of the others, by hand', () => {
    // 100 by 6:3:0 with floor 10: 90 left for 6:3.
    expect(apportion([6, 3, 0], 100, 10)).toEqual([60, 30, 10]);
  });

  it('comes as near as impossible limits allow', () => {
    expect(apportion([1, 1], 100, 0, 30)).toEqual([30, 30]);
    expect(apportion([3, 1], 10, 20)).toEqual([5, 5]);
    expect(apportion([1, 1], 0)).toEqual([0, 0]);
  });
});
