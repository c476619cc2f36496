import { describe, expect, it } from 'vitest';
import { PersistentList } from './persistent-list.ts';

describe('PersistentList', () => {
  it.each([0, 1, 31, 32, 33, 1024, 1025, 40_000])('of %i equals an array after any changes', (length) => {
    const array = new Array<number>(length).fill(-1);
    let list = PersistentList.filled(length, -1);
    for (let i = 0; i < length; i += 1 + (i % 7)) {
      array[i] = i;
      list = list.with(i, i);
    }
    expect([...list]).toEqual(array);
    expect(list.length).toBe(length);
  });

  it('leaves the list before as it was', () => {
    const before = PersistentList.filled(2000, 'a');
    const after = before.with(1999, 'b').with(0, 'c');
    expect([before.at(0), before.at(1999)]).toEqual(['a', 'a']);
    expect([after.at(0), after.at(1), after.at(1999)]).toEqual(['c', 'a', 'b']);
  });

  it('has nothing outside', () => {
    const list = PersistentList.filled(3, 0);
    expect([list.at(-1), list.at(3), list.at(NaN)]).toEqual([undefined, undefined, undefined]);
    expect(() => list.with(3, 1)).toThrow(RangeError);
  });
});
