import { describe, expect, it } from 'vitest';
import { charge, type Claims, enter, leave, next, want } from './fair-share.ts';

/** Gives `grants` workers of one second each; returns how many each run got. */
function serve(claims: Claims, grants: number): { claims: Claims; got: Record<string, number> } {
  const got: Record<string, number> = {};
  let after = claims;
  for (let i = 0; i < grants; i++) {
    const run = next(after);
    if (run === null) break;
    got[run] = (got[run] ?? 0) + 1;
    after = charge(after, run, 1);
  }
  return { claims: after, got };
}

function claimsOf(weights: Record<string, number>, wants = 1000): Claims {
  let claims: Claims = new Map();
  for (const [run, weight] of Object.entries(weights)) claims = want(enter(claims, run, weight), run, wants);
  return claims;
}

describe('fair shares', () => {
  it('are proportional to weights', () => {
    expect(serve(claimsOf({ a: 1, b: 2, c: 0.5 }), 700).got).toEqual({ a: 200, b: 400, c: 100 });
  });

  it('count worker-seconds, not shards', () => {
    let claims = claimsOf({ slow: 1, quick: 1 });
    const seconds = { slow: 3, quick: 1 };
    const spent = { slow: 0, quick: 0 };
    for (let i = 0; i < 400; i++) {
      const run = next(claims) as keyof typeof seconds;
      spent[run] += seconds[run];
      claims = charge(claims, run, seconds[run]);
    }
    expect(spent).toEqual({ slow: 300, quick: 300 });
  });

  it('starve no run, however light', () => {
    const { got } = serve(claimsOf({ heavy: 100, light: 0.01 }), 20_000);
    expect(got['light']).toBeGreaterThanOrEqual(2);
  });

  it('pay nothing back to a run that wanted nothing for a while', () => {
    const { claims } = serve(claimsOf({ a: 1, b: 1 }), 100);
    const alone = serve(want(claims, 'b', 0), 100).claims;
    const { got } = serve(want(alone, 'b', 1000), 100);
    expect(got).toEqual({ a: 50, b: 50 });
  });

  it('owe nothing to a run that comes late', () => {
    const { claims } = serve(claimsOf({ a: 1 }), 100);
    const joined = want(enter(claims, 'late', 1), 'late', 1000);
    expect(serve(joined, 100).got).toEqual({ a: 50, late: 50 });
  });

  it('go to others when a run leaves, or wants no more', () => {
    expect(next(leave(claimsOf({ a: 1, b: 1 }), 'a'))).toBe('b');
    expect(serve(claimsOf({ a: 1, b: 1 }, 3), 100).got).toEqual({ a: 3, b: 3 });
    expect(next(claimsOf({ a: 1 }, 0))).toBeNull();
  });
});
