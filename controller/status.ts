/** The status of an object, as shown by `kubectl get`, `describe` and `wait`. */
import { fromTimestamp } from '../coordinator/api/struct.ts';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import { isGoingOn, isStopping, wasMade, wasRefused, wasSuspended } from './next-step.ts';
import type { Condition, Phase, Status, StatusMetrics, SynthesisRun } from './synthesis-run.ts';

/** Why the coordinator refused the run, or cannot be reached. */
export interface Problem {
  /** One word, such as `ConfigInvalid`. */
  readonly reason: string;
  readonly message: string;
  /** Whether a retry is useless until the object changes. */
  readonly isFinal: boolean;
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/** `run` is null if the coordinator has none, `problem` if it accepted the run or was not asked yet. */
export function statusOf(
  object: SynthesisRun,
  run: Run__Output | null,
  problem: Problem | null,
  now: string,
): Status {
  const { generation } = object.metadata;
  const [phase, message] = run === null ? phaseWithout(object, problem) : phaseOf(object, run);
  const succeeded: Verdict = { status: ENDS[phase] ?? 'Unknown', reason: phase, message };
  const isFailed = phase === 'Failed' || phase === 'Cancelled';
  const verdicts: Readonly<Record<Condition['type'], Verdict>> = {
    Accepted: acceptedOf(object, run, problem),
    Suspended: suspendedOf(object, phase),
    Succeeded: succeeded,
    Failed: { ...succeeded, status: isFailed ? 'True' : phase === 'Succeeded' ? 'False' : 'Unknown' },
  };
  const known = run ?? null;
  return {
    observedGeneration: generation,
    run: known?.name ?? object.status?.run ?? null,
    phase,
    message: message === '' ? null : message,
    epoch: known?.epoch ?? object.status?.epoch ?? null,
    epochs: known?.epochs ?? object.status?.epochs ?? null,
    startTime: known === null ? null : fromTimestamp(known.startTime),
    completionTime: known === null || phase === 'Suspended' ? null : fromTimestamp(known.endTime),
    weightsDigest: known === null || known.weightsDigest === '' ? null : known.weightsDigest,
    metrics: known === null ? (object.status?.metrics ?? null) : metricsOf(known),
    conditions: Object.entries(verdicts).map(([type, verdict]) =>
      conditionOf(object, type as Condition['type'], verdict, now),
    ),
  };
}

const ENDS: Partial<Record<Phase, Condition['status']>> = {
  Succeeded: 'True',
  Failed: 'False',
  Cancelled: 'False',
};

function phaseOf(object: SynthesisRun, run: Run__Output): [Phase, string] {
  if (isGoingOn(run)) {
    if (object.spec.suspend === true || isStopping(object))
      return ['Suspending', 'stops after its last complete epoch'];
    return [run.state === 'STATE_RUNNING' ? 'Running' : 'Queued', run.reason];
  }
  if (run.state === 'STATE_CANCELLED') {
    const isOurs = object.spec.suspend === true || wasSuspended(object);
    return isOurs && object.status?.phase !== 'Cancelled'
      ? ['Suspended', 'spec.suspend is true']
      : ['Cancelled', run.reason];
  }
  return [run.state === 'STATE_SUCCEEDED' ? 'Succeeded' : 'Failed', run.reason];
}

function phaseWithout(object: SynthesisRun, problem: Problem | null): [Phase, string] {
  const { status, spec } = object;
  if (wasMade(object)) {
    if (status?.phase === 'Succeeded') return ['Succeeded', status.message ?? ''];
    return ['Failed', `${status?.run} was deleted`];
  }
  if (problem?.isFinal === true) return ['Failed', problem.message];
  if (wasRefused(object)) return ['Failed', status?.message ?? ''];
  return spec.suspend === true ? ['Suspended', 'spec.suspend is true'] : ['Pending', problem?.message ?? ''];
}

function acceptedOf(object: SynthesisRun, run: Run__Output | null, problem: Problem | null): Verdict {
  if (run !== null || wasMade(object)) return { status: 'True', reason: 'RunMade', message: '' };
  if (problem?.isFinal === true) return { ...problem, status: 'False' };
  const former = object.status?.conditions?.find(({ type }) => type === 'Accepted');
  if (wasRefused(object) && former !== undefined) return former;
  return { reason: 'NotAsked', message: '', ...problem, status: 'Unknown' };
}

function suspendedOf(object: SynthesisRun, phase: Phase): Verdict {
  const message = '';
  if (phase === 'Suspended') return { status: 'True', reason: 'Suspended', message };
  if (phase === 'Suspending') return { status: 'False', reason: 'Suspending', message };
  return { status: 'False', reason: wasSuspended(object) ? 'Resumed' : 'NotSuspended', message };
}

/** A condition's time is that of its last change of status. */
function conditionOf(
  { metadata, status }: SynthesisRun,
  type: Condition['type'],
  verdict: Verdict,
  now: string,
): Condition {
  const former = status?.conditions?.find((condition) => condition.type === type);
  const hasChanged = former === undefined || former.status !== verdict.status;
  return {
    ...{ type, status: verdict.status, reason: verdict.reason, message: verdict.message },
    lastTransitionTime: hasChanged ? now : former.lastTransitionTime,
    observedGeneration: metadata.generation,
  };
}

function metricsOf({ test, validation }: Run__Output): StatusMetrics | null {
  const measured = test ?? validation;
  if (measured === null) return null;
  const { tailRecall = null, worstRecall = null } = measured;
  return {
    split: test === null ? 'validation' : 'test',
    accuracy: rounded(measured.accuracy),
    balancedAccuracy: rounded(measured.balancedAccuracy),
    macroF1: rounded(measured.macroF1),
    tailRecall: tailRecall === null ? null : rounded(tailRecall),
    worstRecall: worstRecall === null ? null : rounded(worstRecall),
  };
}

/** To four decimal places, as in tables. */
function rounded(rate: number): number {
  return Math.round(rate * 1e4) / 1e4;
}
