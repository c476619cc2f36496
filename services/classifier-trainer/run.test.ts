import { expect, it } from 'vitest';
import { chooseAnchors } from './anchors.ts';

it('gives workers all training images, or of too many equally many of each class at most', () => {
  const labels = Int32Array.of(0, 0, 0, 0, 0, 1, 2, 2, 2);
  expect(chooseAnchors(labels, 3, 10, 90)).toBeNull();
  const chosen = chooseAnchors(labels, 3, 10, 59)!;
  expect(chosen.map((index) => labels[index])).toEqual([0, 0, 1, 2, 2]);
  expect(chooseAnchors(labels, 3, 10, 59)).toEqual(chosen);
  expect(chooseAnchors(labels, 3, 10, 1)).toHaveLength(3); // one of each class at least
});
