import { expect, it } from 'vitest';
import { ObjectHolds } from './object-holds.ts';

it('says when the last hold of an object ends, however it ends', () => {
  const holds = new ObjectHolds();
  holds.add('a', 'x/1');
  holds.add('a', 'y/1');
  holds.add('b', 'x/1');
  expect(holds.holders('a')).toEqual(['x/1', 'y/1']);
  expect([holds.remove('a', 'x/1'), holds.remove('a', 'x/1'), holds.remove('a', 'y/1')]).toEqual([
    false,
    false,
    true,
  ]);
  expect(holds.end('x/1')).toEqual(['b']);
  expect(holds.ids()).toEqual([]);
});

it('a lease ends unless it is renewed; the same holder holds once', () => {
  const holds = new ObjectHolds();
  holds.add('a', 'n:1', 100);
  holds.add('a', 'n:1', 200);
  holds.add('b', 'n:1', 100);
  holds.add('b', 'x/1');
  expect(holds.expire(150)).toEqual([]);
  expect([holds.holders('a'), holds.holders('b')]).toEqual([['n:1'], ['x/1']]);
  expect(holds.expire(200)).toEqual(['a']);
  holds.limit('x/1', 300);
  expect([holds.expire(299), holds.expire(300)]).toEqual([[], ['b']]);
});

it('a forgotten object has no holders', () => {
  const holds = new ObjectHolds();
  holds.add('a', 'x/1');
  holds.forget('a');
  expect([holds.has('a'), holds.end('x/1')]).toEqual([false, []]);
});
