import { describe, expect, it } from 'vitest';
import { readAutoscalePolicy } from './autoscale-policy.ts';

const values = (changed: object = {}) =>
  JSON.stringify({
    worker: { pools: { cpu: { maxReplicas: 6 } } },
    autoscaling: {
      ...{ minReplicas: 0, secondsPerWorker: 90, windowMinutes: 4, cooldownSeconds: 300 },
      behavior: { scaleUp: RULES, scaleDown: RULES },
      ...changed,
    },
  });
const RULES = {
  ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
  policies: [{ type: 'Pods', value: 4, periodSeconds: 60 }],
};

describe('readAutoscalePolicy', () => {
  it('reads the numbers of values', () => {
    const { hpa, windowSeconds, leastWorkers, cooldownSeconds } = readAutoscalePolicy(values());
    expect([windowSeconds, leastWorkers, cooldownSeconds]).toEqual([240, 0, 300]);
    expect(hpa).toMatchObject({ minReplicas: 1, maxReplicas: 6, target: 90 });
    expect(hpa.scaleUp.policies).toEqual([{ type: 'Pods', value: 4, periodSeconds: 60 }]);
  });

  it('understands the values that are deployed', () => {
    const { hpa, windowSeconds, leastWorkers } = readAutoscalePolicy();
    expect(leastWorkers).toBe(0);
    expect(hpa.target).toBeGreaterThan(0);
    expect(hpa.maxReplicas).toBeGreaterThan(hpa.minReplicas);
    expect(windowSeconds).toBeGreaterThan(0);
  });

  it.each([
    [values({ behavior: { scaleUp: RULES, scaleDown: { ...RULES, selectPolicy: 'Mean' } } }), 'selectPolicy'],
    [values({ minReplicas: -1 }), 'autoscaling.minReplicas'],
    ['worker: {}', 'worker.pools'],
  ])('refuses what it does not understand', (text, message) => {
    expect(() => readAutoscalePolicy(text)).toThrow(message);
  });
});
