import { expect, it } from 'vitest';
import { KEPT_DEAD, LatestDead } from './latest-dead.ts';

it('forgets the one that died first, unless it lives again', () => {
  const dead = new LatestDead();
  const note = (actorId: string, state: 'alive' | 'dead') => dead.note({ actorId, state });
  for (const actorId of ['a', 'b', 'c']) expect(note(actorId, 'dead')).toBeNull();
  expect(note('a', 'alive')).toBeNull();
  for (let i = 2; i < KEPT_DEAD; i++) expect(note(`other-${i}`, 'dead')).toBeNull();
  expect(note('b', 'dead')).toBeNull(); // again, and so the latest
  expect(note('a', 'dead')).toBe('c');
});
