/**
 * The decision of a HorizontalPodAutoscaler, as a pure function: an external metric with `AverageValue`, tolerance,
 * stabilisation windows and scaling policies.
 *
 *   desired = ⌈metric ÷ target⌉,   unless |1 − metric ÷ (target · replicas)| ≤ tolerance: then unchanged
 *
 * Source: kubernetes/kubernetes, pkg/controller/podautoscaler: GetExternalPerPodMetricReplicas of
 * replica_calculator.go; stabilizeRecommendationWithBehaviors and convertDesiredReplicasWithBehaviorRate of
 * horizontal.go. Written independently, for one metric that is always available.
 */

export interface ScalingPolicy {
  readonly type: 'Pods' | 'Percent';
  readonly value: number;
  readonly periodSeconds: number;
}

export interface ScalingRules {
  readonly stabilizationWindowSeconds: number;
  readonly policies: readonly ScalingPolicy[];
  readonly selectPolicy: 'Max' | 'Min' | 'Disabled';
}

export interface HpaPolicy {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Target of the metric per replica. */
  readonly target: number;
  readonly scaleUp: ScalingRules;
  readonly scaleDown: ScalingRules;
}

interface Timed {
  readonly atSeconds: number;
  readonly replicas: number;
}

/** The controller's state between its rounds. */
export interface HpaMemory {
  /** Recommendation of the metric alone. */
  readonly recommendations: readonly Timed[];
  /** Changes made: added (above 0) or removed replicas. */
  readonly events: readonly Timed[];
}

export const NO_MEMORY: HpaMemory = { recommendations: [], events: [] };

/** Default of the controller. */
export const TOLERANCE = 0.1;
/** Time between two rounds. */
export const SYNC_SECONDS = 15;

/** One round: the number of replicas, and the new state. */
export function decide(
  policy: HpaPolicy,
  memory: HpaMemory,
  now: { readonly seconds: number; readonly replicas: number; readonly metric: number },
): { readonly replicas: number; readonly memory: HpaMemory } {
  const { seconds, replicas: current } = now;
  const wanted = clamp(recommend(policy.target, current, now.metric), policy.minReplicas, policy.maxReplicas);
  const steady = stabilize(policy, memory.recommendations, { seconds, current, wanted });
  const replicas = limitRate(policy, memory.events, { seconds, current, wanted: steady });
  const longest = Math.max(
    policy.scaleUp.stabilizationWindowSeconds,
    policy.scaleDown.stabilizationWindowSeconds,
    ...[...policy.scaleUp.policies, ...policy.scaleDown.policies].map(({ periodSeconds }) => periodSeconds),
  );
  const recent = ({ atSeconds }: Timed) => atSeconds > seconds - longest;
  const changed = replicas === current ? [] : [{ atSeconds: seconds, replicas: replicas - current }];
  return {
    replicas,
    memory: {
      recommendations: [...memory.recommendations.filter(recent), { atSeconds: seconds, replicas: wanted }],
      events: [...memory.events.filter(recent), ...changed],
    },
  };
}

/** Recommendation of the metric. */
function recommend(target: number, current: number, metric: number): number {
  const ratio = metric / (target * current);
  return Math.abs(1 - ratio) <= TOLERANCE ? current : Math.ceil(metric / target);
}

interface Wish {
  readonly seconds: number;
  readonly current: number;
  readonly wanted: number;
}

/** Scaling up uses the lowest recommendation of the window, scaling down the highest. */
function stabilize(
  { scaleUp, scaleDown }: HpaPolicy,
  past: readonly Timed[],
  { seconds, current, wanted }: Wish,
): number {
  const isUp = wanted >= current;
  const window = (isUp ? scaleUp : scaleDown).stabilizationWindowSeconds;
  const recent = past.filter(({ atSeconds }) => atSeconds > seconds - window).map(({ replicas }) => replicas);
  return isUp ? Math.min(wanted, ...recent) : Math.max(wanted, ...recent);
}

/** Policies limit the change within their periods, after changes in the other direction are undone. */
function limitRate(
  { scaleUp, scaleDown, minReplicas, maxReplicas }: HpaPolicy,
  events: readonly Timed[],
  { seconds, current, wanted }: Wish,
): number {
  if (wanted === current) return current;
  const isUp = wanted > current;
  const { policies, selectPolicy } = isUp ? scaleUp : scaleDown;
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const change = events
      .filter(({ atSeconds }) => atSeconds > seconds - periodSeconds)
      .reduce((sum, { replicas }) => sum + replicas, 0);
    const begun = current - change;
    if (type === 'Pods') return isUp ? begun + value : begun - value;
    return isUp ? Math.ceil(begun * (1 + value / 100)) : Math.trunc(begun * (1 - value / 100));
  });
  if (isUp) {
    const limit = selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
    return Math.min(wanted, maxReplicas, Math.max(limit, current));
  }
  const limit = selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
  return Math.max(wanted, minReplicas, Math.min(limit, current));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
