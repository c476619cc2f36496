import { describe, expect, it } from 'vitest';
import { foldIn, integers, keyFromSeed } from '../tensor/random.ts';
import { chooseBalanced, splitValidation } from './split.ts';

const key = keyFromSeed(3);
const count = (labels: Int32Array, indices: Int32Array, label: number) =>
  indices.filter((i) => labels[i] === label).length;

describe('splitValidation without groups', () => {
  const labels = Int32Array.from([...Array<number>(100).fill(0), ...Array<number>(20).fill(1), 2, 2, 3]);
  const { train, validation } = splitValidation(labels, null, 4, 0.2, key);

  it('takes its share of every class', () => {
    expect([0, 1].map((label) => count(labels, validation, label))).toEqual([20, 4]);
  });

  it('gives a small class one validation image, and keeps the last train image', () => {
    expect([count(labels, validation, 2), count(labels, train, 2)]).toEqual([1, 1]);
    expect([count(labels, validation, 3), count(labels, train, 3)]).toEqual([0, 1]);
  });

  it('uses every image once and depends on the key alone', () => {
    expect([...train, ...validation].sort((a, b) => a - b)).toEqual([...labels.keys()]);
    expect(splitValidation(labels, null, 4, 0.2, key).validation).toEqual(validation);
    expect(splitValidation(labels, null, 4, 0.2, keyFromSeed(4)).validation).not.toEqual(validation);
  });

  it('takes nothing at fraction 0', () => {
    expect(splitValidation(labels, null, 4, 0, key).validation).toHaveLength(0);
  });
});

describe('splitValidation with groups', () => {
  // 300 groups of one to six images, most of one class, every tenth of two classes; classes about 9 : 3 : 1.
  const sizes = integers(foldIn(key, 'sizes'), 300, 6);
  const classes = Array.from(integers(foldIn(key, 'classes'), 300, 13), (n) => (n < 9 ? 0 : n < 12 ? 1 : 2));
  const members = classes.flatMap((label, group) =>
    Array.from({ length: sizes[group]! + 1 }, (_, i) => ({
      group: `g${group}`,
      label: group % 10 === 0 && i === 0 ? (label + 1) % 3 : label,
    })),
  );
  const labels = Int32Array.from(members, ({ label }) => label);
  const groups = members.map(({ group }) => group);

  it.each([1, 2, 3, 4, 5])('keeps groups whole and shares close (seed %i)', (seed) => {
    const { train, validation } = splitValidation(labels, groups, 3, 0.2, keyFromSeed(seed));
    const trainGroups = new Set(Array.from(train, (i) => groups[i]));
    expect([...validation].filter((i) => trainGroups.has(groups[i]))).toEqual([]);
    for (const label of [0, 1, 2]) {
      const total = labels.filter((l) => l === label).length;
      expect(Math.abs(count(labels, validation, label) - 0.2 * total)).toBeLessThanOrEqual(2);
    }
  });

  it('cannot part a class that is one group', () => {
    const { validation } = splitValidation(
      Int32Array.from([0, 0, 0, 1, 1, 1]),
      ['p', 'p', 'p', 'q', 'r', 's'],
      2,
      0.4,
      key,
    );
    expect(validation).toHaveLength(1);
    expect(validation[0]).toBeGreaterThan(2);
  });

  it('takes the smallest group of a class whose groups all pass its target', () => {
    const labelsOfTwo = new Int32Array(9);
    const { validation } = splitValidation(labelsOfTwo, [...'aaaaabbbb'], 1, 0.1, key);
    expect([...validation]).toEqual([5, 6, 7, 8]);
  });
});

describe('chooseBalanced', () => {
  const labels = Int32Array.from([0, 1, 0, 1, 0, 1, 2, 0]);
  it('takes equally many of each class, the remainder from the first', () => {
    const chosen = chooseBalanced(labels, Int32Array.from(labels.keys()), 3, 7, key);
    expect([0, 1, 2].map((label) => count(labels, chosen, label))).toEqual([3, 2, 1]);
    expect([...chosen]).toEqual([...chosen].sort((a, b) => a - b));
  });

  it('takes only from the pool', () => {
    expect([...chooseBalanced(labels, Int32Array.from([2, 5]), 3, 100, key)]).toEqual([2, 5]);
  });
});
