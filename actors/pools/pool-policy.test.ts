import { describe, expect, it } from 'vitest';
import { leastLoaded, membersToAdd, membersToEnd, stragglerMs } from './pool-policy.ts';
import type { MemberLoad } from './pool-policy.ts';

const LIMITS = { min: 1, max: 4, creditsPerMember: 2, idleMs: 100 };

function member(actorId: string, inFlight: number, more: Partial<MemberLoad> = {}): MemberLoad {
  return { actorId, inFlight, isUsable: true, isRestarting: false, lastUsedMs: 0, ...more };
}

describe('a pool', () => {
  it('gives a call to the member with the fewest, if it has a credit', () => {
    expect(leastLoaded([member('a', 1), member('b', 0), member('c', 0)], LIMITS)).toBe('b');
    expect(leastLoaded([member('a', 2), member('b', 2)], LIMITS)).toBeNull();
    expect(leastLoaded([member('a', 0, { isUsable: false }), member('b', 1)], LIMITS)).toBe('b');
    expect(leastLoaded([member('a', 0), member('b', 1)], LIMITS, new Set(['a']))).toBe('b');
  });

  it('grows by what waits, within its limits, and replaces the dead', () => {
    expect(membersToAdd([], 0, LIMITS)).toBe(1);
    expect(membersToAdd([member('a', 2)], 3, LIMITS)).toBe(2);
    expect(membersToAdd([member('a', 2)], 100, LIMITS)).toBe(3);
    expect(membersToAdd([member('a', 2), member('starting', 0)], 2, LIMITS)).toBe(0);
    expect(membersToAdd([member('a', 1), member('starting', 0)], 4, LIMITS)).toBe(1);
    expect(membersToAdd([member('a', 0, { isRestarting: true })], 1, LIMITS)).toBe(1);
    expect(membersToAdd([member('a', 0, { isUsable: false })], 0, LIMITS)).toBe(1);
  });

  it('ends members above the least number that have long been idle', () => {
    const members = [member('a', 0, { lastUsedMs: 50 }), member('b', 0), member('c', 1), member('d', 0)];
    expect(membersToEnd(members, 120, LIMITS)).toEqual(['b', 'd']);
    expect(membersToEnd(members, 120, { ...LIMITS, min: 3 })).toEqual(['b']);
    expect(membersToEnd([member('a', 0)], 1000, LIMITS)).toEqual([]);
  });

  it('knows a straggler by the median of eight calls or more', () => {
    expect(stragglerMs([1, 1, 1, 1, 1, 1, 1], 4)).toBe(Infinity);
    expect(stragglerMs([100, 10, 10, 10, 10, 10, 10, 500], 4)).toBe(40);
  });
});
