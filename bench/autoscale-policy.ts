/**
 * The policy of k8s/components/keda as numbers. Read from the manifest itself, so that what is simulated is what is
 * deployed; what the simulation does not know is refused.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { packageRoot } from '../common/package-root.ts';
import type { HpaPolicy } from './hpa.ts';

const MANIFEST = join('k8s', 'components', 'keda', 'scaled-object', 'scaled-object.yaml');
const QUERY = /^sum\(max by \(run\) \(max_over_time\(ballast_synthesis_backlog_seconds\[(\d+)([sm])\]\)\)\)$/;

const rules = z.strictObject({
  stabilizationWindowSeconds: z.number().min(0),
  policies: z.array(
    z.strictObject({
      type: z.enum(['Pods', 'Percent']),
      value: z.number().positive(),
      periodSeconds: z.number().positive(),
    }),
  ),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']),
});

const schema = z.object({
  spec: z.object({
    minReplicaCount: z.number().int().min(0),
    maxReplicaCount: z.number().int().min(1),
    cooldownPeriod: z.number().min(0).default(300),
    triggers: z.tuple([
      z.object({
        type: z.literal('prometheus'),
        metricType: z.literal('AverageValue'),
        metadata: z.object({ query: z.string().regex(QUERY), threshold: z.coerce.number().positive() }),
      }),
    ]),
    advanced: z.object({
      horizontalPodAutoscalerConfig: z.object({
        behavior: z.strictObject({ scaleUp: rules, scaleDown: rules }),
      }),
    }),
  }),
});

export interface AutoscalePolicy {
  /** Of the HorizontalPodAutoscaler that KEDA makes: it never goes below one. */
  readonly hpa: HpaPolicy;
  /** 0: KEDA itself takes the last worker away, and brings the first. */
  readonly leastWorkers: number;
  /** From when nothing waits until the last worker goes. */
  readonly cooldownSeconds: number;
  /** The metric is the largest value of so many seconds, for each run. */
  readonly windowSeconds: number;
}

/** @throws UserError for a manifest that the simulation does not understand. */
export function readAutoscalePolicy(
  text = readFileSync(join(packageRoot(), MANIFEST), 'utf8'),
): AutoscalePolicy {
  const parsed = schema.safeParse(parse(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${MANIFEST}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { minReplicaCount, maxReplicaCount, cooldownPeriod, triggers, advanced } = parsed.data.spec;
  const { query, threshold } = triggers[0].metadata;
  const [, amount, unit] = QUERY.exec(query) ?? [];
  return {
    hpa: {
      ...{ minReplicas: Math.max(1, minReplicaCount), maxReplicas: maxReplicaCount, target: threshold },
      ...advanced.horizontalPodAutoscalerConfig.behavior,
    },
    leastWorkers: minReplicaCount,
    cooldownSeconds: cooldownPeriod,
    windowSeconds: Number(amount) * (unit === 'm' ? 60 : 1),
  };
}
