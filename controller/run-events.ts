/**
 * Kubernetes events of a run, which `kubectl describe` and `kubectl events` show: the difference between two statuses of its
 * object. Each is written once its status is, and never again: if one is lost with its controller, only the status shows it.
 */
import { wasMade } from './next-step.ts';
import type { Condition, Phase, Status, SynthesisRun } from './synthesis-run.ts';

export interface RunEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word, as `Succeeded`. */
  readonly reason: string;
  /** At most 1,024 characters. */
  readonly note: string;
}

/** The API server refuses longer ones. */
const MAX_NOTE = 1024;

/** The events of a change of status: from the one that `object` has to `now`. */
export function eventsOf(object: SynthesisRun, now: Status): RunEvent[] {
  const events = [problemIn(object, now), madeIn(object, now), phaseIn(object, now)];
  return events.flatMap((event) => (event === null ? [] : [{ ...event, note: cut(event.note) }]));
}

/** Why there is no run yet; reported again for each version of the object. */
function problemIn({ status }: SynthesisRun, now: Status): RunEvent | null {
  const [before, accepted] = [acceptedOf(status), acceptedOf(now)];
  if (accepted === undefined || accepted.status === 'True' || accepted.reason === 'NotAsked') return null;
  const isTold =
    before?.reason === accepted.reason && before.observedGeneration === accepted.observedGeneration;
  return isTold ? null : { type: 'Warning', reason: accepted.reason, note: accepted.message };
}

function madeIn(object: SynthesisRun, now: Status): RunEvent | null {
  if (now.run === null || wasMade(object)) return null;
  return { type: 'Normal', reason: 'Created', note: `The coordinator has made ${now.run}` };
}

function phaseIn(object: SynthesisRun, now: Status): RunEvent | null {
  if (object.status?.phase === now.phase) return null;
  const tell = PHASES[now.phase];
  return tell === undefined ? null : tell(object, now);
}

type Tell = (object: SynthesisRun, now: Status) => RunEvent | null;

/** Phases that are worth an event; the others pass quickly, or follow from what was told. */
const PHASES: Partial<Record<Phase, Tell>> = {
  Running: (_object, { epoch, epochs, run }) => ({
    type: 'Normal',
    reason: epoch === null || epoch === 0 ? 'Started' : 'Continued',
    note:
      epoch === null || epoch === 0
        ? `${run} is running`
        : `${run} goes on after epoch ${epoch} of ${epochs}`,
  }),
  Suspended: (_object, { epoch, epochs, run }) => ({
    type: 'Normal',
    reason: 'Suspended',
    note:
      run === null
        ? 'No run is made while spec.suspend is true'
        : `${run} stopped after epoch ${epoch} of ${epochs}`,
  }),
  Succeeded: (_object, { epochs, metrics, run }) => ({
    type: 'Normal',
    reason: 'Succeeded',
    note:
      `${run} has ended after ${epochs} epochs` +
      (metrics === null ? '' : `; balanced accuracy ${metrics.balancedAccuracy} on ${metrics.split} images`),
  }),
  // Without a run it was refused, which `problemIn` tells.
  Failed: (_object, { message, run }) =>
    run === null ? null : { type: 'Warning', reason: 'Failed', note: message ?? `${run} failed` },
  Cancelled: ({ metadata }, { message, run }) => ({
    type: metadata.deletionTimestamp === undefined ? 'Warning' : 'Normal',
    reason: 'Cancelled',
    note: message ?? `${run} was cancelled`,
  }),
};

function acceptedOf(status: Partial<Status> | undefined): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Accepted');
}

function cut(note: string): string {
  return note.length <= MAX_NOTE ? note : `${note.slice(0, MAX_NOTE - 1)}…`;
}
