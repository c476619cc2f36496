/** What the controller needs of the API server (kubernetes.ts). */
import type { RunEvent } from './run-events.ts';
import type { Phase, Status, SynthesisRun } from './synthesis-run.ts';

export interface ObjectWatch {
  /** The present objects, with the phase of their last known status. */
  list(): readonly { readonly name: string; readonly phase: Phase | undefined }[];
  stop(): Promise<void>;
}

export interface ObjectStore {
  readonly namespace: string;
  /** Null if it does not exist. */
  get(name: string): Promise<SynthesisRun | null>;
  /**
   * Resolves to the object with the status; null if it does not exist any more. @throws ConflictError if the object has
   * changed since it was read.
   */
  writeStatus(object: SynthesisRun, status: Status): Promise<SynthesisRun | null>;
  /** Sets or removes the finaliser. @throws ConflictError if the object has changed since it was read. */
  writeHold(object: SynthesisRun, isHeld: boolean): Promise<void>;
  /** Tells of an object, for `kubectl describe`. */
  writeEvent(object: SynthesisRun, event: RunEvent): Promise<void>;
  watch(listeners: ObjectListeners): ObjectWatch;
}

export interface ObjectListeners {
  /** An object was added, changed or removed. */
  readonly onChange: (name: string) => void;
  /** Objects are listed and watched (null), or temporarily cannot be. */
  readonly onConnection: (problem: string | null) => void;
}

/** An object has changed since it was read, or is another one of the same name. */
export class ConflictError extends Error {}
