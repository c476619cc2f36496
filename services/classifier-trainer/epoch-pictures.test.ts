import { expect, it } from 'vitest';
import { gridClasses } from './epoch-pictures.ts';

it('draws all classes, or of too many those with images and the fewest training images', () => {
  const trained = [9, 5, 1, 5];
  expect(gridClasses(trained, [0, 2, 2, 2], 4)).toEqual([0, 1, 2, 3]);
  expect(gridClasses(trained, [3, 2, 2, 2], 2)).toEqual([1, 2]);
  expect(gridClasses(trained, [3, 2, 0, 2], 2)).toEqual([1, 3]);
});
