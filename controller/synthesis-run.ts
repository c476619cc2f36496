/**
 * The custom resource `SynthesisRun` (k8s/chart/crds), and the run that belongs to an object: its id and its request
 * follow only from the object's name and uid, so a controller without any memory still finds the run that it created.
 */
import { toStruct } from '../coordinator/api/struct.ts';
import type { CreateRunRequest } from '../gen/ballast/v1/CreateRunRequest.ts';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';

/** `.internal` is reserved for private use: nobody owns the name (docs/decisions/0036-synthesis-run.md). */
export const GROUP = 'ballast.internal';
export const VERSION = 'v1alpha1';
export const KIND = 'SynthesisRun';
export const PLURAL = 'synthesisruns';
/** An object has it while its run may be active, so that deleting the object first cancels the run. */
export const FINALISER = `${GROUP}/run`;

/** Labels of the run that identify its object. */
const UID_LABEL = `${GROUP}/uid`;
const NAMESPACE_LABEL = `${GROUP}/namespace`;

export const PHASES = [
  ...(['Pending', 'Queued', 'Running', 'Suspending', 'Suspended'] as const),
  ...(['Succeeded', 'Failed', 'Cancelled'] as const),
] as const;
export type Phase = (typeof PHASES)[number];

export interface Condition {
  readonly type: 'Accepted' | 'Suspended' | 'Succeeded' | 'Failed';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** Rates from 0 to 1; null if they were not measured. */
export interface StatusMetrics {
  readonly split: 'validation' | 'test';
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  readonly tailRecall: number | null;
  readonly worstRecall: number | null;
}

/** A null field is absent. */
export interface Status {
  readonly observedGeneration: number;
  readonly run: string | null;
  readonly phase: Phase;
  readonly message: string | null;
  readonly epoch: number | null;
  readonly epochs: number | null;
  readonly startTime: string | null;
  readonly completionTime: string | null;
  readonly weightsDigest: string | null;
  readonly metrics: StatusMetrics | null;
  readonly conditions: readonly Condition[];
}

/** An object as the API server returns it, which has validated it against the schema. */
export interface SynthesisRun {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly config: object;
    readonly suspend?: boolean;
    readonly weight?: number;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly status?: Partial<Status>;
}

const MAX_STEM = 50;

/** `runs/photos-1f0c2a9b` of an object `photos`: successive objects of one name have different runs. */
export function runNameOf({ metadata: { name, uid } }: SynthesisRun): string {
  const stem = name.replaceAll('.', '-').slice(0, MAX_STEM);
  return `runs/${/^[a-z]/.test(stem) ? '' : 'run-'}${stem}-${uid.slice(0, 8)}`;
}

/** The request for the object's run; repeating it creates no second run. */
export function createRequestOf(object: SynthesisRun): CreateRunRequest {
  const { metadata, spec } = object;
  const own = { [UID_LABEL]: metadata.uid, [NAMESPACE_LABEL]: metadata.namespace };
  return {
    runId: runNameOf(object).slice('runs/'.length),
    requestId: `synthesisrun/${metadata.uid}`,
    config: toStruct(spec.config),
    weight: spec.weight ?? 0,
    labels: { ...spec.labels, ...own },
  };
}

/** Whether a run was created for this object. */
export function belongsTo({ labels }: Run__Output, { metadata }: SynthesisRun): boolean {
  return labels[UID_LABEL] === metadata.uid;
}
