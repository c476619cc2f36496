/**
 * The chart's autoscaling policy as numbers, read from its values, so that the simulation runs the deployed policy.
 * Settings that the simulation cannot model are refused.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { packageRoot } from '../common/package-root.ts';
import type { HpaPolicy } from './hpa.ts';

const VALUES = join('k8s', 'chart', 'values.yaml');

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
  worker: z.object({ pools: z.object({ cpu: z.object({ maxReplicas: z.number().int().min(1) }) }) }),
  autoscaling: z.object({
    minReplicas: z.number().int().min(0),
    secondsPerWorker: z.number().positive(),
    windowMinutes: z.number().positive(),
    cooldownSeconds: z.number().min(0),
    behavior: z.strictObject({ scaleUp: rules, scaleDown: rules }),
  }),
});

export interface AutoscalePolicy {
  /** Minimum of KEDA's HorizontalPodAutoscaler: it never goes below one. */
  readonly hpa: HpaPolicy;
  /** 0: KEDA itself removes the last worker, and starts the first. */
  readonly leastWorkers: number;
  /** Delay between an empty backlog and the removal of the last worker. */
  readonly cooldownSeconds: number;
  /** The metric is the largest value of this many seconds, for each run. */
  readonly windowSeconds: number;
}

/** @throws UserError for values that the simulation does not model. */
export function readAutoscalePolicy(
  text = readFileSync(join(packageRoot(), VALUES), 'utf8'),
): AutoscalePolicy {
  const parsed = schema.safeParse(parse(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${VALUES}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { worker, autoscaling } = parsed.data;
  const { minReplicas, secondsPerWorker, windowMinutes, cooldownSeconds, behavior } = autoscaling;
  const { maxReplicas } = worker.pools.cpu;
  return {
    hpa: { minReplicas: Math.max(1, minReplicas), maxReplicas, target: secondsPerWorker, ...behavior },
    ...{ leastWorkers: minReplicas, cooldownSeconds, windowSeconds: 60 * windowMinutes },
  };
}
