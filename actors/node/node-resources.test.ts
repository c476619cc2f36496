import { expect, it } from 'vitest';
import { checkCards, detectResources, visibleCards } from './node-resources.ts';

it('knows the cards that CUDA_VISIBLE_DEVICES leaves to a node, by name', () => {
  expect(visibleCards(undefined)).toBeNull();
  expect(visibleCards('3, 5')).toEqual(['3', '5']);
  expect(visibleCards('GPU-aaaa,GPU-bbbb')).toEqual(['GPU-aaaa', 'GPU-bbbb']);
  expect(visibleCards('-1')).toEqual([]);
  expect(detectResources(['3', '5']).gpu).toBe(2);
  expect(detectResources([])).not.toHaveProperty('gpu');
});

it('refuses a node more cards than it sees', () => {
  checkCards('Node', { gpu: 2 }, ['3', '5']);
  checkCards('Node', { gpu: 8 }, null);
  expect(() => checkCards('Node', { gpu: 3 }, ['3', '5'])).toThrow(
    'Node, resources.gpu = 3: CUDA_VISIBLE_DEVICES shows 2; ask for no more, or unset the variable.',
  );
});
