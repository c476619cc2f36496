import { expect, it } from 'vitest';
import { chooseAnchors } from './anchors.ts';
import { gridClasses } from './run.ts';

it('draws all classes, or of too many those with images and the fewest training images', () => {
  const trained = [9, 5, 1, 5];
  expect(gridClasses(trained, [0, 2, 2, 2], 4)).toEqual([0, 1, 2, 3]);
  expect(gridClasses(trained, [3, 2, 2, 2], 2)).toEqual([1, 2]);
  expect(gridClasses(trained, [3, 2, 0, 2], 2)).toEqual([1, 3]);
});

it('gives workers all training images, or of too many equally many of each class at most', () => {
  const labels = Int32Array.of(0, 0, 0, 0, 0, 1, 2, 2, 2);
  expect(chooseAnchors(labels, 3, 10, 90)).toBeNull();
  const chosen = chooseAnchors(labels, 3, 10, 59)!;
  expect(chosen.map((index) => labels[index])).toEqual([0, 0, 1, 2, 2]);
  expect(chooseAnchors(labels, 3, 10, 59)).toEqual(chosen);
  expect(chooseAnchors(labels, 3, 10, 1)).toHaveLength(3); // one of each class at least
});
