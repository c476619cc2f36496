import { describe, expect, it } from 'vitest';
import { alsoRestarted, isTooIntense } from './supervision-policy.ts';

describe('alsoRestarted', () => {
  it('is no worker, the workers after it, or all others', () => {
    expect(alsoRestarted('one-for-one', 1, 3)).toEqual([]);
    expect(alsoRestarted('rest-for-one', 1, 4)).toEqual([2, 3]);
    expect(alsoRestarted('one-for-all', 1, 3)).toEqual([0, 2]);
  });
});

describe('isTooIntense', () => {
  it('counts failures within the window', () => {
    const limits = { maxRestarts: 2, windowMs: 100 };
    expect(isTooIntense([0, 10], 50, limits)).toBe(true);
    expect(isTooIntense([0, 10], 105, limits)).toBe(false);
    expect(isTooIntense([], 0, { maxRestarts: 0, windowMs: 100 })).toBe(true);
  });
});
