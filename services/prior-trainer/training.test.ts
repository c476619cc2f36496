import { expect, it } from 'vitest';
import { keyFromSeed } from '../../tensor/random.ts';
import { imageOrder } from './training.ts';

// 16, 4 and 1 labelled images and three unlabelled ones
const labels = Int32Array.from([...Array<number>(16).fill(0), 1, 1, 1, 1, 2]);
const images = { labels, count: 24 };
const seen = (sampling: 'natural' | 'square-root' | 'class-balanced', epoch = 1) => {
  const order = imageOrder(images, sampling, keyFromSeed(1), epoch);
  const times = [0, 0, 0, 0];
  for (const image of order) times[image < 21 ? labels[image]! : 3]!++;
  return times;
};

it('sees each image once, or classes by the root of their size, or evenly; unlabelled images always once', () => {
  expect(seen('natural')).toEqual([16, 4, 1, 3]);
  expect(seen('square-root')).toEqual([12, 6, 3, 3]); // 21 places by 4 : 2 : 1
  expect(seen('class-balanced')).toEqual([7, 7, 7, 3]);
});

it('is keyed by the epoch', () => {
  const order = (epoch: number) => imageOrder(images, 'square-root', keyFromSeed(1), epoch);
  expect(order(1)).toEqual(order(1));
  expect(order(2)).not.toEqual(order(1));
});
