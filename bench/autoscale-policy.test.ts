import { describe, expect, it } from 'vitest';
import { readAutoscalePolicy } from './autoscale-policy.ts';

const manifest = (query: string, min = 1) => `
spec:
  minReplicaCount: ${min}
  maxReplicaCount: 6
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata: { query: '${query}', threshold: '90' }
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp: &rules
          stabilizationWindowSeconds: 0
          policies: [{ type: Pods, value: 4, periodSeconds: 60 }]
          selectPolicy: Max
        scaleDown: *rules
`;
const QUERY = 'sum(max by (run) (max_over_time(ballast_synthesis_backlog_seconds[4m])))';

describe('readAutoscalePolicy', () => {
  it('reads the numbers of a manifest', () => {
    const { hpa, windowSeconds, leastWorkers, cooldownSeconds } = readAutoscalePolicy(manifest(QUERY, 0));
    expect([windowSeconds, leastWorkers, cooldownSeconds]).toEqual([240, 0, 300]);
    expect(hpa).toMatchObject({ minReplicas: 1, maxReplicas: 6, target: 90 });
    expect(hpa.scaleUp.policies).toEqual([{ type: 'Pods', value: 4, periodSeconds: 60 }]);
  });

  it('understands the manifest that is deployed', () => {
    const { hpa, windowSeconds, leastWorkers } = readAutoscalePolicy();
    expect(leastWorkers).toBe(0);
    expect(hpa.target).toBeGreaterThan(0);
    expect(hpa.maxReplicas).toBeGreaterThan(hpa.minReplicas);
    expect(windowSeconds).toBeGreaterThan(0);
  });

  it.each([
    [manifest('sum(up)'), 'triggers.0.metadata.query'],
    [manifest(QUERY, -1), 'spec.minReplicaCount'],
    ['spec: {}', 'spec.minReplicaCount'],
  ])('refuses what it does not understand', (text, message) => {
    expect(() => readAutoscalePolicy(text)).toThrow(message);
  });
});
