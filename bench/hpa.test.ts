// Expected numbers are worked out by hand from the rules that Kubernetes documents ("Horizontal Pod Autoscaling").
import { describe, expect, it } from 'vitest';
import { decide, type HpaMemory, type HpaPolicy, NO_MEMORY } from './hpa.ts';

const FREE = { stabilizationWindowSeconds: 0, policies: [], selectPolicy: 'Max' } as const;
const WIDE = { type: 'Pods', value: 1000, periodSeconds: 15 } as const;
const OPEN: HpaPolicy = {
  minReplicas: 1,
  maxReplicas: 20,
  target: 100,
  scaleUp: { ...FREE, policies: [WIDE] },
  scaleDown: { ...FREE, policies: [WIDE] },
};

/** Replicas after each round of 15 s. */
function follow(policy: HpaPolicy, start: number, metrics: readonly number[]): number[] {
  let memory: HpaMemory = NO_MEMORY;
  let replicas = start;
  return metrics.map((metric, round) => {
    ({ replicas, memory } = decide(policy, memory, { seconds: 15 * round, replicas, metric }));
    return replicas;
  });
}

describe('decide', () => {
  it.each([
    [1, 450, 5],
    [5, 450, 5], // 450 ÷ 500 = 0.9: within the tolerance
    [5, 449, 5], // beyond it, but 4.49 is rounded up
    [5, 400, 4],
    [10, 1090, 10], // 1.09: within
    [10, 1101, 12],
    [3, 0, 1], // never below the least
    [3, 9999, 20], // nor above the most
    [0, 250, 3],
  ])('goes from %i replicas at a metric of %i to %i', (replicas, metric, expected) => {
    expect(decide(OPEN, NO_MEMORY, { seconds: 0, replicas, metric }).replicas).toBe(expected);
  });

  it('goes down only to the highest recommendation of its window', () => {
    const policy = { ...OPEN, scaleDown: { ...OPEN.scaleDown, stabilizationWindowSeconds: 60 } };
    // 1000 at 0 s stays in the window until 60 s have passed: the round at 60 s is the first without it.
    expect(follow(policy, 10, [1000, 300, 300, 300, 300, 300])).toEqual([10, 10, 10, 10, 3, 3]);
  });

  it('goes up only to the lowest recommendation of its window', () => {
    const policy = { ...OPEN, scaleUp: { ...OPEN.scaleUp, stabilizationWindowSeconds: 30 } };
    expect(follow(policy, 2, [200, 900, 900, 900])).toEqual([2, 2, 9, 9]);
  });

  it('grows by what its policies allow in their periods, the larger of them', () => {
    const policies = [
      { type: 'Percent', value: 100, periodSeconds: 60 },
      { type: 'Pods', value: 4, periodSeconds: 60 },
    ] as const;
    const policy = { ...OPEN, scaleUp: { ...FREE, policies } };
    // From 1: four more in the first minute. From 5: twice as many in the next.
    expect(follow(policy, 1, [2000, 2000, 2000, 2000, 2000, 2000])).toEqual([5, 5, 5, 5, 10, 10]);
    const least = { ...policy, scaleUp: { ...policy.scaleUp, selectPolicy: 'Min' } } as const;
    expect(follow(least, 1, [2000, 2000])).toEqual([2, 2]);
  });

  it('shrinks by what its policies allow', () => {
    const policies = [{ type: 'Percent', value: 50, periodSeconds: 60 }] as const;
    const policy = { ...OPEN, scaleDown: { ...FREE, policies } };
    expect(follow(policy, 9, [100, 100, 100, 100, 100])).toEqual([4, 4, 4, 4, 2]);
  });

  it('does not move in a direction that is switched off', () => {
    const policy = { ...OPEN, scaleDown: { ...OPEN.scaleDown, selectPolicy: 'Disabled' } } as const;
    expect(follow(policy, 9, [100, 2000])).toEqual([9, 20]);
  });
});
