import { expect, it } from 'vitest';
import { ByteCache } from './byte-cache.ts';

it('drops the least recently used beyond its capacity', () => {
  const cache = new ByteCache(10);
  cache.set('a', new Uint8Array(4));
  cache.set('b', new Uint8Array(4));
  expect(cache.get('a')).toBeDefined(); // now b is the oldest
  cache.set('c', new Uint8Array(4));
  expect(cache.get('b')).toBeUndefined();
  expect(cache.get('a')).toHaveLength(4);
  expect(cache.sizeBytes).toBe(8);
});

it('counts a replaced entry once, and does not keep what is larger than itself', () => {
  const cache = new ByteCache(10);
  cache.set('a', new Uint8Array(4));
  cache.set('a', new Uint8Array(6));
  expect(cache.sizeBytes).toBe(6);
  cache.set('big', new Uint8Array(11));
  expect(cache.get('big')).toBeUndefined();
  expect(cache.get('a')).toHaveLength(6);
  cache.delete('a');
  expect(cache.sizeBytes).toBe(0);
});
