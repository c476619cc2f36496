import { describe, expect, it } from 'vitest';
import { autoscaler } from './autoscale.ts';
import type { AutoscalePolicy } from './autoscale-policy.ts';

const RULES = {
  stabilizationWindowSeconds: 0,
  policies: [{ type: 'Pods', value: 100, periodSeconds: 15 }],
  selectPolicy: 'Max',
} as const;
const POLICY: AutoscalePolicy = {
  hpa: { minReplicas: 1, maxReplicas: 10, target: 100, scaleUp: RULES, scaleDown: RULES },
  ...{ windowSeconds: 60, leastWorkers: 1, cooldownSeconds: 30 },
};

/** Workers after each round of 15 s; a round has the backlog of each run. */
function follow(policy: AutoscalePolicy, rounds: readonly (readonly number[])[]): number[] {
  const scaler = autoscaler(policy);
  let workers = policy.leastWorkers;
  return rounds.map(
    (backlogs, round) => (workers = scaler.scale(15 * round, workers, new Map(backlogs.entries()))),
  );
}

describe('autoscaler', () => {
  it("takes each run's largest backlog of the window", () => {
    // Run 0 had 300 at 0 s, run 1 has 200 at 15 s: 500 until the first is out of the window, at 60 s.
    expect(follow(POLICY, [[300], [0, 200], [0, 0], [0, 0], [0, 0], [0, 0]])).toEqual([3, 5, 5, 5, 2, 1]);
  });

  it('brings the first worker as soon as work waits, and takes the last away after the cooldown', () => {
    const policy = { ...POLICY, windowSeconds: 15, leastWorkers: 0 };
    expect(follow(policy, [[0], [250], [250], [0], [0], [0]])).toEqual([0, 1, 3, 1, 0, 0]);
  });
});
