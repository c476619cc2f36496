import { describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { chooseLongTail, longTailCounts } from './long-tail.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

describe('longTailCounts', () => {
  // 2000 · 100^(−i/9), computed with bc and rounded.
  it('falls exponentially from largest to largest / ratio', () => {
    const counts = longTailCounts(new Array<number>(10).fill(6000), NAMES, {
      ratio: 100,
      largest: 2000,
      seed: 0,
    });
    expect(counts).toEqual([2000, 1199, 719, 431, 258, 155, 93, 56, 33, 20]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4964);
  });

  it('takes as many as every class allows when the largest is not given', () => {
    expect(longTailCounts([10, 10, 10], NAMES, { ratio: 4, largest: null, seed: 0 })).toEqual([10, 5, 3]);
    // The second class has 2 of its half: 4 for the first, 1 for the last.
    expect(longTailCounts([10, 2, 10], NAMES, { ratio: 4, largest: null, seed: 0 })).toEqual([4, 2, 1]);
  });

  it('keeps one image of every class', () => {
    expect(longTailCounts([10, 10], NAMES, { ratio: 1000, largest: null, seed: 0 })).toEqual([10, 1]);
  });

  it('refuses a class that is too small, with the largest that fits', () => {
    const run = () => longTailCounts([10, 3], NAMES, { ratio: 2, largest: 8, seed: 0 });
    expect(run).toThrow(UserError);
    expect(run).toThrow(
      "data.longTail: class 'b' has 3 images but its place in the tail asks for 4; set data.longTail.largest to 6 or less",
    );
  });
});

describe('chooseLongTail', () => {
  const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3);
  const choose = (seed: number) => chooseLongTail(labels, ['a', 'b', 'c'], { ratio: 4, largest: null, seed });

  it('parts the images into chosen and unused, both ascending', () => {
    const { chosen, unused } = choose(1);
    expect([...chosen, ...unused].sort((a, b) => a - b)).toEqual([...labels.keys()]);
    expect([...chosen]).toEqual([...chosen].sort((a, b) => a - b));
    expect([0, 1, 2].map((label) => chosen.filter((i) => labels[i] === label).length)).toEqual([20, 10, 5]);
  });

  it('depends on the seed alone', () => {
    expect(choose(1)).toEqual(choose(1));
    expect(choose(1).chosen).not.toEqual(choose(2).chosen);
  });
});
