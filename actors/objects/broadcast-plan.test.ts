import { describe, expect, it } from 'vitest';
import { assign, finish, hops, newBroadcast } from './broadcast-plan.ts';
import type { Broadcast } from './broadcast-plan.ts';

const LEASE = { failed: [], nowMs: 0, leaseMs: 1000 } as const;

function ask(broadcast: Broadcast, receiver: string, facts: Partial<Parameters<typeof assign>[1]> = {}) {
  return assign(broadcast, { ...LEASE, receiver, ...facts });
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `n${index + 1}`);
}

describe('assign', () => {
  it('gives the first two the origin, then those who receive, fewest hops first', () => {
    const broadcast = newBroadcast('origin');
    const sources = names(7).map((name) => ask(broadcast, name));
    expect(sources).toEqual(['origin', 'origin', 'n1', 'n2', 'n1', 'n2', 'n3']);
  });

  // Two uploads a node: d hops reach 2 + 4 + … + 2^d nodes.
  it.each([
    [1, 1],
    [2, 1],
    [6, 2],
    [14, 3],
    [16, 4],
    [510, 8],
    [511, 9],
  ])('reaches %i nodes that ask at once in %i hops, no node uploading to more than two', (count, depth) => {
    const broadcast = newBroadcast('origin');
    const sources = names(count).map((name) => ask(broadcast, name));
    expect(Math.max(...names(count).map((name) => hops(broadcast, name)))).toBe(depth);
    const uploads = [...new Set(sources)].map((source) => sources.filter((other) => other === source).length);
    expect(Math.max(...uploads)).toBeLessThanOrEqual(2);
  });

  it('takes log₃ N rounds where a round is one whole upload and receivers do not relay', () => {
    // Each of h holders makes two new ones a round: 1 → 3 → 9 → 27.
    const broadcast = newBroadcast('origin');
    let waiting = names(26);
    let rounds = 0;
    for (; waiting.length > 0; rounds++) {
      const busy = (source: string | null) => source === null || hops(broadcast, source) > 0;
      const served = waiting.filter((name) => {
        const isLater = busy(ask(broadcast, name));
        if (isLater) broadcast.receiving.delete(name);
        return !isLater;
      });
      for (const name of served) finish(broadcast, name, true);
      waiting = waiting.filter((name) => !served.includes(name));
    }
    expect(rounds).toBe(3);
  });

  it('redirects later askers to those who hold it', () => {
    const broadcast = newBroadcast('origin');
    for (const name of ['a', 'b']) ask(broadcast, name);
    finish(broadcast, 'a', true);
    expect(ask(broadcast, 'c')).toBe('a'); // the origin still gives to b
    expect(ask(broadcast, 'd')).toBe('origin');
  });

  it('leaves out who failed, and forgets that it holds anything', () => {
    const broadcast = newBroadcast('origin');
    ask(broadcast, 'a');
    finish(broadcast, 'a', true);
    expect(ask(broadcast, 'b', { failed: ['origin'] })).toBe('a');
    expect(ask(broadcast, 'b', { failed: ['origin', 'a'] })).toBeNull();
    expect([...broadcast.holders]).toEqual([]);
  });

  it('never makes a circle: one who lost its source is not sent to those it feeds', () => {
    const broadcast = newBroadcast('origin');
    for (const name of names(3)) ask(broadcast, name); // n3 receives from n1
    expect(ask(broadcast, 'n1', { failed: ['origin', 'n2'] })).toBeNull();
    expect(ask(broadcast, 'n1', { failed: ['origin'] })).toBe('n2');
  });

  it('gives an upload away when its lease is over', () => {
    const broadcast = newBroadcast('origin');
    ask(broadcast, 'a');
    ask(broadcast, 'b');
    expect(ask(broadcast, 'c', { nowMs: 999 })).toBe('a');
    expect(ask(broadcast, 'd', { nowMs: 1000 })).toBe('origin');
  });
});
