/**
 * The controller's next step for an object: a pure function of the object and its run as they are now. It is called again
 * after each step, so a controller that ends between two steps continues where it was.
 */
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import { type Condition, FINALISER, type SynthesisRun } from './synthesis-run.ts';

/**
 * `hold` and `release` set and remove the finaliser; `create`, `cancel` and `resume` act on the run; `settled` waits
 * for a change of either.
 */
export type Step = 'hold' | 'create' | 'cancel' | 'resume' | 'release' | 'settled';

/** `run` is null if the coordinator has none. */
export function nextStep(object: SynthesisRun, run: Run__Output | null): Step {
  const { metadata, spec } = object;
  const isHeld = metadata.finalizers?.includes(FINALISER) ?? false;
  const isActive = run !== null && isGoingOn(run);
  if (metadata.deletionTimestamp !== undefined) {
    if (!isHeld) return 'settled';
    return isActive ? 'cancel' : 'release';
  }
  const rest: Step = isHeld ? 'release' : 'settled';
  if (spec.suspend === true) return isActive ? 'cancel' : rest;
  const mayGoOn = run === null ? !wasMade(object) && !wasRefused(object) : mayResume(object, run);
  if (!isActive && !mayGoOn) return rest;
  if (!isHeld) return 'hold';
  if (run === null) return 'create';
  if (!isActive) return 'resume';
  // A run that is asked to stop may be still active: it has to stop before it is resumed.
  return isStopping(object) ? 'cancel' : 'settled';
}

export function isGoingOn({ state }: Run__Output): boolean {
  return state === 'STATE_QUEUED' || state === 'STATE_RUNNING';
}

/** Whether the controller stopped the run, or is about to, because of `suspend`; other clients may cancel it too. */
export function wasSuspended(object: SynthesisRun): boolean {
  return suspended(object)?.status === 'True' || isStopping(object);
}

/** Whether the run was to stop because of `suspend` when the object was last seen. */
export function isStopping(object: SynthesisRun): boolean {
  return suspended(object)?.reason === 'Suspending';
}

function suspended({ status }: SynthesisRun): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Suspended');
}

/** Whether the run was created: a run that has been deleted is not created again. */
export function wasMade({ status }: SynthesisRun): boolean {
  return (status?.run ?? null) !== null;
}

/** Whether the coordinator refused the object's present spec. */
export function wasRefused({ metadata, status }: SynthesisRun): boolean {
  const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
  return accepted?.status === 'False' && accepted.observedGeneration === metadata.generation;
}

function mayResume(object: SynthesisRun, { state }: Run__Output): boolean {
  return state === 'STATE_CANCELLED' && wasSuspended(object);
}
